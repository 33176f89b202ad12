"""Run alone: verl's training engine and ours on the same rows, as JSON on the last line.

python tests/engines/compared.py MODEL
"""

import json
import os
import sys

from verl_dots.engines.environment import prepare_environment

prepare_environment(cpu=True)

import torch  # noqa: E402
from omegaconf import OmegaConf  # noqa: E402
from tensordict import TensorDict  # noqa: E402
from transformers import AutoModelForCausalLM, MambaConfig, Qwen2Config  # noqa: E402
from verl.utils import tensordict_utils as tu  # noqa: E402
from verl.utils.config import omega_conf_to_dataclass  # noqa: E402
from verl.workers.engine.fsdp.transformer_impl import FSDPEngineWithLMHead  # noqa: E402

from verl_dots.engines import training  # noqa: E402
from verl_dots.launch.compose import compose  # noqa: E402

GROUP, RESPONSE = 4, 12


def engine_of(kind: type, model: str) -> FSDPEngineWithLMHead:
    """An engine of a class, with the settings of a CPU run."""
    config = compose(["device=cpu", f"actor_rollout_ref.model.path={model}", "actor_rollout_ref.actor.optim.lr=1e-3"])
    actor = config.actor_rollout_ref.actor
    actor.ppo_mini_batch_size = actor.optim.total_training_steps = 8
    OmegaConf.resolve(config)
    typed = omega_conf_to_dataclass(actor)
    engine = kind(omega_conf_to_dataclass(config.actor_rollout_ref.model), typed.engine, typed.optim, typed.checkpoint)
    engine.initialize()
    return engine


def rows_of(vocabulary: int, temperature: float | torch.Tensor, tokens: int) -> TensorDict:
    """Groups of responses to prompts of unequal length, as verl's workers get them; `tokens` a micro-batch."""
    generator = torch.Generator().manual_seed(0)
    rows = []
    for length in (9, 30, 17):
        prompt = torch.randint(vocabulary, (length,), generator=generator)
        for number in range(GROUP):
            rows.append(torch.cat([prompt, torch.randint(vocabulary, (RESPONSE - number,), generator=generator)]))
    masks = [torch.arange(len(row)) >= len(row) - RESPONSE for row in rows]
    fields = {"input_ids": rows, "position_ids": [torch.arange(len(row)) for row in rows], "loss_mask": masks}
    nested = {name: torch.nested.as_nested_tensor(column, layout=torch.jagged) for name, column in fields.items()}
    nested["multi_modal_inputs"] = tu.get_tensordict({"column": [{} for _ in rows]})["column"]
    data = TensorDict(nested, batch_size=len(rows))
    tu.assign_non_tensor(
        data, temperature=temperature, calculate_entropy=True, calculate_sum_pi_squared=True, use_dynamic_bsz=True,
        max_token_len_per_gpu=tokens, use_remove_padding=False, use_fused_kernels=False,
    )  # fmt: skip
    return data


def loss(model_output: dict, data: TensorDict, dp_group: object) -> tuple[torch.Tensor, dict]:
    """Of all log-probs that have a label, each weighted otherwise, and of the entropies."""
    total = 0.0
    for log_probs, entropy in zip(model_output["log_probs"].unbind(), model_output["entropy"].unbind(), strict=True):
        total = total - (log_probs[:-1] * torch.linspace(-1, 1, len(log_probs) - 1)).mean() - 0.1 * entropy.mean()
    return total, {}


def outputs(engine: FSDPEngineWithLMHead, data: TensorDict) -> dict[str, torch.Tensor]:
    """Every figure of every token that has a label."""
    with engine.eval_mode():
        found = engine.infer_batch(data)["model_output"]
    return {name: torch.cat([row[:-1] for row in values.unbind()]) for name, values in found.items()}


def weights(engine: FSDPEngineWithLMHead, data: TensorDict, steps: int) -> torch.Tensor:
    """All weights after some optimizer steps."""
    for _ in range(steps):
        with engine.train_mode():
            engine.train_batch(data, loss)
    return torch.cat([weight.full_tensor().flatten() for weight in engine.module.parameters()]).detach().clone()


def main(model: str) -> None:
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "0", "RANK": "0", "WORLD_SIZE": "1"}
    store = torch.distributed.HashStore()
    torch.distributed.init_process_group("cpu:gloo", store=store, rank=0, world_size=1)
    vocabulary = Qwen2Config.from_pretrained(model).vocab_size
    seen: list[int] = []
    forward = training.shared

    def counted(rows, costs):
        layout = forward(rows, costs)
        seen.append(0 if layout is None else layout.ids.size)
        return layout

    training.shared = counted
    engines = {
        "verl": engine_of(FSDPEngineWithLMHead, model),
        "own": engine_of(training.SharedPrefixEngine, model),
    }
    seen.clear()
    several = torch.linspace(0.5, 1.5, 3 * GROUP)
    cases = {"whole": (0.7, 4096), "micro": (1.0, 120), "temperatures": (several, 4096)}
    result: dict = {"worst": {}, "computed": {}}
    for case, (temperature, tokens) in cases.items():
        verl, own = (outputs(one, rows_of(vocabulary, temperature, tokens)) for one in engines.values())
        result["worst"][case] = {name: (verl[name] - own[name]).abs().max().item() for name in verl}
        result["computed"][case] = list(seen)
        seen.clear()
    before = weights(engines["own"], rows_of(vocabulary, 0.7, 120), steps=0)
    verl, own = (weights(one, rows_of(vocabulary, 0.7, 120), steps=3) for one in engines.values())
    result["weights"] = {"moved": (own - before).abs().max().item(), "apart": (own - verl).abs().max().item()}
    result["takes_trees"] = {name: training._takes_trees(one) for name, one in models(vocabulary).items()}
    print(json.dumps(result))


def models(vocabulary: int) -> dict[str, torch.nn.Module]:
    """Models that take trees and that do not."""
    plain = {"vocab_size": vocabulary, "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2,
             "num_attention_heads": 2, "num_key_value_heads": 1}  # fmt: skip
    configs = {
        "plain": Qwen2Config(**plain),
        "windows": Qwen2Config(**plain, use_sliding_window=True, sliding_window=4, max_window_layers=0),
        "dropout": Qwen2Config(**plain, attention_dropout=0.1),
        "recurrent": MambaConfig(vocab_size=vocabulary, hidden_size=16, num_hidden_layers=1, state_size=4),
    }
    return {
        name: AutoModelForCausalLM.from_config(config, attn_implementation=None if name == "recurrent" else "sdpa")
        for name, config in configs.items()
    }


if __name__ == "__main__":
    main(*sys.argv[1:])
