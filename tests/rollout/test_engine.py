import random

import pytest
import torch
from transformers import AutoModelForCausalLM, Gemma2Config, GemmaConfig, GPT2Config, LlamaConfig, MistralConfig

from verl_dots.rollout import attention
from verl_dots.rollout.engine import Engine
from verl_dots.rollout.loading import UnsupportedModel, check_model
from verl_dots.rollout.request import BadRequest, Request, SamplingParams
from verl_dots.rollout.settings import EngineConfig

EOS = 3


def make_engine(model, **limits):
    return Engine(model, EngineConfig(**{"max_model_len": 128, "seed": 5, **limits}), eos_token_ids=[EOS])


def requests(count, **params):
    """Groups of four with a prompt of their own; lengths and temperatures are drawn, unless `params` gives them."""
    rng = random.Random(0)
    made = []
    for group in range(count // 4):
        prompt = tuple(rng.randrange(64) for _ in range(rng.randint(1, 40)))
        for index in range(4):
            drawn = {"max_tokens": rng.randint(1, 40), "temperature": rng.choice([0.6, 1.0])}
            made.append(Request(f"{group}.{index}", prompt, SamplingParams(rollout_index=index, **(drawn | params))))
    return made


def run(engine, given):
    for request in given:
        engine.add(request)
    return {done.request_id: done for done in engine.run()}


def respond(engine, **params):
    """The completion of one request, of 12 tokens at most unless `params` says otherwise."""
    return run(engine, [Request("a", (9, 8, 7), SamplingParams(**({"max_tokens": 12} | params)))])["a"]


def plain_log_probs(model, request, completion):
    """Those of the completion's tokens in one forward pass, with other attention than the engine's."""
    model.set_attn_implementation("sdpa")
    tokens = torch.tensor([[*request.prompt_ids, *completion.token_ids]], device=model.device)
    with torch.no_grad():
        logits = model(input_ids=tokens).logits[0, len(request.prompt_ids) - 1 : -1] / request.params.temperature
    return logits.log_softmax(-1).gather(-1, tokens[0, len(request.prompt_ids) :, None])[:, 0].cpu()


def test_a_request_gives_the_same_response_in_every_company(model):
    given = requests(64)
    reference = run(make_engine(model), given)
    shuffled = random.Random(1).sample(given, len(given))
    assert run(make_engine(model, max_num_seqs=7), shuffled) == reference
    assert run(make_engine(model, max_num_seqs=33, max_prefill_tokens=64), shuffled) == reference
    for request in given[:6]:
        assert run(make_engine(model), [request])[request.request_id] == reference[request.request_id]


def test_long_prompts_are_the_same_in_every_company_too(model):
    rng = random.Random(2)
    prompts = [tuple(rng.randrange(64) for _ in range(rng.randint(1, 130))) for _ in range(24)]
    given = [Request(str(i), prompt, SamplingParams(max_tokens=60)) for i, prompt in enumerate(prompts)]
    reference = run(make_engine(model, max_model_len=190), given)
    for request in given[::3]:
        assert (
            run(make_engine(model, max_model_len=190), [request])[request.request_id] == reference[request.request_id]
        )


def test_requests_that_arrive_late_change_nothing(model):
    given = requests(32)
    reference = run(make_engine(model), given)
    engine, done = make_engine(model, max_num_seqs=16), {}
    for number, request in enumerate(given):
        engine.add(request)
        if number % 3 == 0:
            done |= {completion.request_id: completion for completion in engine.step()}
    assert done | {completion.request_id: completion for completion in engine.run()} == reference


def test_top_p_and_top_k_rows_run_beside_others(model):
    mixed = [*requests(8), *(Request(f"p{r.request_id}", r.prompt_ids, r.params) for r in requests(8, top_p=0.7))]
    mixed += [Request(f"k{r.request_id}", r.prompt_ids, r.params) for r in requests(8, top_k=3)]
    together = run(make_engine(model), mixed)
    for request in mixed[::3]:
        assert run(make_engine(model), [request])[request.request_id] == together[request.request_id]


def test_log_probs_are_those_of_a_plain_forward_pass(model):
    given = requests(16)
    done = run(make_engine(model), given)
    for request in given:
        completion = done[request.request_id]
        plain = plain_log_probs(model, request, completion)
        assert torch.allclose(plain, torch.tensor(completion.log_probs), rtol=0, atol=1e-5)


def test_a_prefill_ends_with_the_last_layers_keys(model):
    """Nothing reads what comes after them: one pass over the prompts and 12 of one token in all but the last layer's
    own part, and 12 there."""
    layers = model.base_model.layers
    passes = [0] * len(layers)

    def count(number):
        return layers[number].mlp.register_forward_hook(lambda *_: passes.__setitem__(number, passes[number] + 1))

    hooks = [count(number) for number in range(len(layers))]
    respond(make_engine(model), ignore_eos=True)
    for hook in hooks:
        hook.remove()
    assert passes == [13] * (len(layers) - 1) + [12]


def test_greedy_equals_transformers_generate(model):
    given = requests(16, max_tokens=20, temperature=0)[::4]
    done = run(make_engine(model), given)
    model.set_attn_implementation("sdpa")
    for request in given:
        prompt = torch.tensor([request.prompt_ids])
        expected = model.generate(
            input_ids=prompt, attention_mask=torch.ones_like(prompt), do_sample=False, max_new_tokens=20,
            eos_token_id=EOS, pad_token_id=0,
        )  # fmt: skip
        assert done[request.request_id].token_ids == expected[0, prompt.shape[1] :].tolist()


def test_how_a_response_ends(model):
    free = respond(make_engine(model), temperature=0.0, ignore_eos=True)
    assert (len(free.token_ids), free.stop_reason) == (12, "length")
    stop = free.token_ids[4]
    stopped = respond(make_engine(model), temperature=0.0, ignore_eos=True, stop_token_ids=(stop,))
    ended = respond(Engine(model, EngineConfig(max_model_len=128), eos_token_ids=[stop]), temperature=0.0)
    for done in (stopped, ended):
        assert done.token_ids == free.token_ids[: free.token_ids.index(stop) + 1]
        assert done.stop_reason == "completed"
    short = respond(make_engine(model, max_model_len=8), ignore_eos=True)
    assert (len(short.token_ids), short.stop_reason) == (5, "length")


def test_without_log_probs(model):
    assert respond(make_engine(model), logprobs=False).log_probs is None


@pytest.mark.parametrize(
    "prompt, words", [((), "empty"), ((1, 64), "token 64 is outside 0..63"), ((1,) * 128, "no room")]
)
def test_a_bad_request_is_refused_alone(model, prompt, words):
    engine = make_engine(model)
    engine.add(Request("good", (1, 2, 3), SamplingParams(max_tokens=2)))
    with pytest.raises(BadRequest, match=words):
        engine.add(Request("bad", prompt, SamplingParams(max_tokens=2)))
    assert [done.request_id for done in engine.run()] == ["good"]


def test_abort_returns_what_is_there_and_leaves_the_others(model):
    given = requests(12, max_tokens=20, ignore_eos=True)
    reference = run(make_engine(model), given)
    engine = make_engine(model, max_num_seqs=8)
    for request in given:
        engine.add(request)
    for _ in range(5):
        engine.step()
    [running] = engine.abort(given[0].request_id)
    assert running.stop_reason == "aborted"
    assert running.token_ids == reference[running.request_id].token_ids[:5]
    [waiting] = engine.abort(given[-1].request_id)
    assert (waiting.token_ids, waiting.stop_reason) == ([], "aborted")
    rest = {done.request_id: done for done in engine.run()}
    assert rest == {name: done for name, done in reference.items() if name in rest} and len(rest) == 10
    assert engine.abort() == []


def test_weights_are_replaced_whole_or_not_at_all(model):
    engine = make_engine(model)
    before = respond(engine)
    weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    swapped = {name: tensor.flip(0) for name, tensor in weights.items()}
    with pytest.raises(ValueError, match="other shape .'lm_head.weight'"):
        engine.load_weights({**swapped, "lm_head.weight": torch.zeros(2, 2)})
    with pytest.raises(ValueError, match="missing .'lm_head.weight'"):
        engine.load_weights({name: tensor for name, tensor in swapped.items() if name != "lm_head.weight"})
    assert respond(make_engine(model)) == before
    engine.load_weights(swapped, version=3)
    after = respond(engine)
    assert after.weights_version == 3
    assert after.log_probs != before.log_probs
    engine.load_weights(weights)
    assert torch.equal(model.state_dict()["lm_head.weight"], weights["lm_head.weight"])


def test_a_request_that_waits_over_an_update_is_of_the_weights_that_generate_it(model):
    old = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    new = {name: tensor.flip(0) for name, tensor in old.items()}
    held, fresh = make_engine(model), make_engine(model)
    held.load_weights(old, version=1)
    held.add(Request("a", (9, 8, 7), SamplingParams(max_tokens=12)))
    held.load_weights(new, version=2)
    fresh.version = 2
    [done] = held.run()
    assert done.weights_version == 2
    assert done == respond(fresh)
    # Its seed is the version's first: who waits does not count twice.
    assert respond(held) != done
    assert respond(held, rollout_index=0) == done


def test_under_running_requests_weights_and_cache_stay(model):
    engine = make_engine(model)
    engine.add(Request("a", (1, 2), SamplingParams(max_tokens=9, ignore_eos=True)))
    engine.step()
    for change in (lambda: engine.load_weights(model.state_dict()), engine.release_cache):
        with pytest.raises(RuntimeError, match="1 requests are running"):
            change()


def test_the_cache_is_given_back(model):
    engine = make_engine(model)
    reference = run(engine, requests(8))
    assert engine.cache_bytes > 0
    engine.release_cache()
    assert engine.cache_bytes == 0
    assert run(engine, requests(8)) == reference


def test_the_cache_grows_no_further_than_the_longest_sequences_need(model):
    """Some 70 positions have room for 80 and not for 128; 40 sequences 48 slots, and not 64."""
    engine = make_engine(model, max_model_len=70, max_num_seqs=40)
    run(engine, requests(24, max_tokens=6, ignore_eos=True))
    run(engine, requests(80, max_tokens=30, ignore_eos=True))
    config = model.config
    width = config.hidden_size // config.num_attention_heads
    positions = 48 * 80 * config.num_hidden_layers * config.num_key_value_heads
    assert engine.cache_bytes == 2 * positions * width * 4


SMALL = dict(
    vocab_size=64, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
    num_key_value_heads=2, head_dim=8, max_position_embeddings=256,
)  # fmt: skip
OTHERS = {
    "llama": LlamaConfig(**SMALL),
    "gemma": GemmaConfig(**SMALL),
    "mistral, sliding window of 10": MistralConfig(**SMALL, sliding_window=10),
    "gpt2": GPT2Config(vocab_size=64, n_embd=32, n_layer=2, n_head=4, n_positions=256),
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_architectures(name):
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(OTHERS[name], attn_implementation=attention.NAME).eval()
    check_model(model)
    given = requests(16)
    reference = run(make_engine(model), given)
    assert run(make_engine(model, max_num_seqs=5), given[::-1]) == reference


def test_an_architecture_that_asks_for_other_arithmetic_is_refused():
    torch.manual_seed(0)
    config = Gemma2Config(**SMALL, attn_logit_softcapping=2.0)
    model = AutoModelForCausalLM.from_config(config, attn_implementation=attention.NAME).eval()
    with pytest.raises(UnsupportedModel, match="softcap"):
        check_model(model)


def test_a_copied_prompt_may_need_rows_that_are_not_allocated_yet(model):
    # 16 slots are in use; the seventeenth request of the same prompt is admitted alone, and only by copying.
    params = [SamplingParams(max_tokens=20, rollout_index=index, ignore_eos=True) for index in range(17)]
    *given, last = [Request(str(index), (5, 6, 7), own) for index, own in enumerate(params)]
    engine = make_engine(model)
    for request in given:
        engine.add(request)
    engine.step()
    assert run(engine, [last])["16"].token_ids == run(make_engine(model), [last])["16"].token_ids
