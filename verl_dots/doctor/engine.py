"""The rollout engine behind verl's servers, with the tiny model: what it samples, and what it says of it."""

import math
from collections import Counter

import pyarrow.parquet as pq

from verl_dots.doctor.context import CheckFailed, Context, tiny_heads
from verl_dots.doctor.rows import Row, judged, warned
from verl_dots.generation.generation import RolloutServers
from verl_dots.launch.compose import compose
from verl_dots.launch.machine_checks import check_machine
from verl_dots.rollout.loading import eos_token_ids
from verl_dots.settings import ConfigError

TEMPERATURES = (0.6, 1.0, 1.3)
ROLLOUTS = 16  # of one question, at each temperature
COMPANY = 64
UNCLEAR = "abc xyz qwerty"  # to which the tiny model has many answers: two of temperature 1 are alike in 1 of 9 cases
DEVIATIONS, SLACK = 5, 1 / 8  # by which more pairs of responses may be alike than is expected; a share of all pairs
PROMPT, RESPONSE = 96, 48
# Mean difference of log-probs that is rounding: of the hf engine in fp32, of the others in bf16.
CLOSE = {"hf": 1e-4}
CLOSE_BF16 = 0.02
Asked = tuple[int, float]  # number of a prompt, temperature


def engine_overrides(context: Context) -> list[str]:
    """Of a config for one engine of the tiny model."""
    device = (
        ["device=cpu"]
        if context.cpu
        else [f"actor_rollout_ref.rollout.name={context.engine}", f"trainer.n_gpus_per_node={context.parallel}"]
    )
    parallel = f"actor_rollout_ref.rollout.tensor_model_parallel_size={context.parallel}"
    lengths = [f"data.max_prompt_length={PROMPT}", f"data.max_response_length={RESPONSE}"]
    return [*device, parallel, *lengths, f"actor_rollout_ref.model.path={context.tiny_model()}"]


def engine(context: Context) -> list[Row]:
    """Greedy responses alone and in company, three temperatures in one batch, the stop token, and log-probs."""
    config = compose(engine_overrides(context))
    try:
        check_machine(config, train=False)  # as every start does; it puts variables of SLURM's right, too
    except ConfigError as error:
        raise CheckFailed(str(error), "as it says") from error
    questions = pq.read_table(context.questions() / "val.parquet").column("prompt").to_pylist()[:COMPANY]
    tiny = str(context.tiny_model())
    with RolloutServers(config) as servers:
        prompts = [servers.tokenize(messages) for messages in questions]
        prompts.append(servers.tokenize([{"role": "user", "content": UNCLEAR}]))
        ends = eos_token_ids(tiny, _loaded(tiny))
        ask = _asker(servers, prompts)
        (alone,) = ask([(0, 0.0)])
        together = ask([(number, 0.0) for number in range(len(questions))])
        asked: list[Asked] = [(0, 0.0)] + [(COMPANY, heat) for heat in TEMPERATURES for _ in range(ROLLOUTS)]
        mixed = ask(asked)
    by_heat = {heat: [out for (_, own), out in zip(asked, mixed, strict=True) if own == heat] for heat in TEMPERATURES}
    close = CLOSE.get(context.engine, CLOSE_BF16)
    rows = [
        _stops(together, ends),
        _same("greedy, alone and among 64", alone, together[0]),
        _same("greedy, alone and beside three temperatures", alone, mixed[0]),
        *(distinct(heat, outputs) for heat, outputs in by_heat.items() if heat >= 1),
    ]
    model = _loaded(tiny)
    for heat, outputs in by_heat.items():
        differences = [
            abs(one - other)
            for output in outputs
            for one, other in zip(output.log_probs, plain_log_probs(model, prompts[COMPANY], output, heat), strict=True)
        ]
        mean = sum(differences) / len(differences)
        fix = "the engine's log-probs are of another model or temperature: compare versions with the lock"
        check = f"log-probs against a forward pass, temperature {heat}"
        rows.append(judged(check, mean <= close, f"{mean:.2g} on average", f"{close:g}", fix))
    value = context.engine if context.parallel == 1 else f"{context.engine} on {context.parallel} GPUs"
    return [judged("engine starts and generates", True, value, "it does", ""), *_parallel(context), *rows]


def _parallel(context: Context) -> list[Row]:
    """A warning where the recipe's engines have more GPUs each than the checks'."""
    wanted = context.config.actor_rollout_ref.rollout.tensor_model_parallel_size
    if context.cpu or context.parallel == wanted:
        return []
    heads, keys = tiny_heads()
    why = f"the tiny model has {heads} heads, {keys} of keys, and {context.gpus} GPUs may be used"
    fix = "`--only stages` trains the recipe itself; on a node with more GPUs the checks may do with as many"
    return [warned("tensor parallelism", f"{wanted} GPUs in the recipe, 1 in all checks: {why}", fix)]


def _asker(servers: RolloutServers, prompts: list[list[int]]):
    def ask(asked: list[Asked]) -> list:
        return servers.answers([(prompts[number], {"temperature": heat, "logprobs": True}) for number, heat in asked])

    return ask


def _loaded(path: str):
    import torch
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32).eval()


def plain_log_probs(model, prompt: list[int], output, temperature: float) -> list[float]:
    """Log-probs of a response's tokens by one forward pass in fp32, as a trainer computes them."""
    import torch

    tokens = torch.tensor([[*prompt, *output.token_ids]])
    with torch.no_grad():
        logits = model(input_ids=tokens).logits[0, len(prompt) - 1 : -1].float() / temperature
    return torch.log_softmax(logits, -1).gather(-1, tokens[0, len(prompt) :, None])[:, 0].tolist()


def _stops(outputs: list, ends: set[int]) -> Row:
    ended = sum(bool(output.token_ids) and output.token_ids[-1] in ends for output in outputs)
    past = sum(token in ends for output in outputs for token in output.token_ids[:-1])
    fix = "generation_config.json of the model and its tokenizer name different tokens: make them agree"
    value = f"{ended} of {len(outputs)} end with it, {past} go past it"
    return judged("stop token", ended > 0 and past == 0, value, "1 or more, 0 past it", fix)


def _same(check: str, one, other) -> Row:
    """In bf16 another batch may round to another token; on the hf engine in fp32 nothing may differ."""
    tokens = zip(one.token_ids, other.token_ids, strict=False)
    alike = next((place for place, (mine, its) in enumerate(tokens) if mine != its), len(one.token_ids))
    whole = one.token_ids == other.token_ids
    value = "the same tokens" if whole else f"the first {alike} of {len(one.token_ids)} tokens are the same"
    fix = "requests disturb each other: compare versions with the lock, and try enforce_eager=True"
    return judged(check, whole or alike >= 8, value, "the same, or the first 8", fix)


def distinct(heat: float, outputs: list) -> Row:
    """Whether no more responses to one question are alike than by chance, which their own log-probs tell.

    Of n independent responses n (n - 1) c / 2 pairs are alike on average, where c is the mean probability of a
    response. The square of that number's deviation is n (n - 1) c (1 - c) / 2 + n (n - 1) (n - 2) (t - c^2), where t is
    the mean of the squared probabilities. Of few expected pairs more come by chance than deviations say, hence `SLACK`.
    Responses of one seed are all alike, however improbable they are.
    """
    count, seen = len(outputs), Counter(tuple(output.token_ids) for output in outputs)
    alike = sum(math.comb(times, 2) for times in seen.values())
    chances = [math.exp(min(0.0, sum(output.log_probs))) for output in outputs]
    once, twice = sum(chances) / count, sum(chance**2 for chance in chances) / count
    pairs = math.comb(count, 2)
    variance = pairs * once * (1 - once) + 6 * math.comb(count, 3) * (twice - once**2)
    most = pairs * (once + SLACK) + DEVIATIONS * math.sqrt(max(0.0, variance))
    fix = "every rollout has the same seed: leave actor_rollout_ref.rollout.seed to the run, and compare versions"
    return judged(
        f"different responses of {count} to one question, temperature {heat}", alike <= most,
        f"{len(seen)}; {alike} of {pairs} pairs are alike",
        f"{most:.0f} pairs: {pairs * once:.0f} by their log-probs, {DEVIATIONS} deviations, an eighth of all", fix,
    )  # fmt: skip
