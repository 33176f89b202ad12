"""Run alone: verl's training engine and ours on the same rows, as JSON on the last line.

python tests/engines/compared.py MODEL
"""

import copy
import json
import os
import sys

from verl_dots.processes.environment import prepare_environment

prepare_environment(cpu=True)

import torch  # noqa: E402
from omegaconf import OmegaConf  # noqa: E402
from tensordict import TensorDict  # noqa: E402
from transformers import (  # noqa: E402
    AutoModelForCausalLM,
    FalconConfig,
    MambaConfig,
    MistralConfig,
    PretrainedConfig,
    Qwen2Config,
    Qwen3Config,
    Qwen3MoeConfig,
)
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


def rows_of(vocabulary: int, tokens: int = 4096, first: int = 0, image: bool = False, **settings) -> TensorDict:
    """Groups of responses to prompts of unequal length, as verl's workers get them.

    Args:
        tokens: of a micro-batch.
        first: position of a row's first token.
        image: the rows have one each.
        settings: beside those of every row.
    """
    generator = torch.Generator().manual_seed(0)
    rows = []
    for length in (9, 30, 17):
        prompt = torch.randint(vocabulary, (length,), generator=generator)
        for number in range(GROUP):
            rows.append(torch.cat([prompt, torch.randint(vocabulary, (RESPONSE - number,), generator=generator)]))
    fields = {
        "input_ids": rows,
        "position_ids": [torch.arange(len(row)) + first for row in rows],
        "loss_mask": [torch.arange(len(row)) >= len(row) - RESPONSE for row in rows],
    }
    nested = {name: torch.nested.as_nested_tensor(column, layout=torch.jagged) for name, column in fields.items()}
    images = [{"pixel_values": torch.zeros(1)} if image else {} for _ in rows]
    nested["multi_modal_inputs"] = tu.get_tensordict({"column": images})["column"]
    data = TensorDict(nested, batch_size=len(rows))
    given = {
        "temperature": 1.0, "calculate_entropy": True, "calculate_sum_pi_squared": True, "use_dynamic_bsz": True,
        "max_token_len_per_gpu": tokens, "use_remove_padding": False, "use_fused_kernels": False,
    } | settings  # fmt: skip
    tu.assign_non_tensor(data, **given)
    return data


def two_temperatures() -> torch.Tensor:
    """Of the rows: a group of one temperature, one of another, and one of both."""
    return torch.tensor([0.6] * GROUP + [1.3] * GROUP + [1.3, 0.6] * (GROUP // 2))


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
    cases = {
        "whole": {"temperature": 0.7},
        "micro": {"tokens": 120},
        "temperatures": {"temperature": torch.linspace(0.5, 1.5, 3 * GROUP)},
        "two temperatures": {"temperature": two_temperatures()},
        "positions": {"first": 3},
    }
    result: dict = {"worst": {}, "computed": {}}
    for case, settings in cases.items():
        verl, own = (outputs(one, rows_of(vocabulary, **settings)) for one in engines.values())
        result["worst"][case] = {name: (verl[name] - own[name]).abs().max().item() for name in verl}
        result["computed"][case] = list(seen)
        seen.clear()
    before = weights(engines["own"], rows_of(vocabulary), steps=0)
    verl, own = (weights(one, rows_of(vocabulary, 120, temperature=0.7), steps=3) for one in engines.values())
    result["weights"] = {"moved": (own - before).abs().max().item(), "apart": (own - verl).abs().max().item()}
    verl, own = (weights(one, rows_of(vocabulary, temperature=two_temperatures()), 3) for one in engines.values())
    result["weights"]["apart with two temperatures"] = (own - verl).abs().max().item()
    others = {
        "none": {}, "images": {"image": True}, "packed": {"use_remove_padding": True},
        "fused": {"use_fused_kernels": True}, "distilled": {"distillation_use_topk": True},
        "distilled_alone": {"distillation_only": True},
    }  # fmt: skip
    result["trees_in_spite_of"] = {
        name: engines["own"]._layout(rows_of(vocabulary, **settings)) is not None for name, settings in others.items()
    }
    result["takes_trees"] = {
        name: training._costs_of_trees(one) is not None for name, one in models(vocabulary).items()
    }
    result["tokens_cost"] = {name: training._costs(one).token for name, one in priced(vocabulary).items()}
    print(json.dumps(result))


def models(vocabulary: int) -> dict[str, torch.nn.Module]:
    """Models that take trees and that do not."""
    plain = {"vocab_size": vocabulary, "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2,
             "num_attention_heads": 2, "num_key_value_heads": 1}  # fmt: skip
    falcon = {name: plain[name] for name in ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads")}
    configs = {
        "plain": Qwen2Config(**plain),
        "layers of windows": Qwen2Config(**plain, use_sliding_window=True, sliding_window=4, max_window_layers=0),
        "a window": MistralConfig(**plain, sliding_window=64),
        "dropout": Qwen2Config(**plain, attention_dropout=0.1),
        "positions in the attention": FalconConfig(**falcon, alibi=True),
    }
    built = {name: of_config(one) for name, one in configs.items()}
    built["recurrent"] = of_config(
        MambaConfig(vocab_size=vocabulary, hidden_size=16, num_hidden_layers=1, state_size=4), None
    )
    built["half"] = of_config(configs["plain"]).bfloat16()
    built["eager"] = of_config(configs["plain"], "eager")
    built["dropped part"] = of_config(configs["plain"])
    built["dropped part"].lm_head = torch.nn.Sequential(torch.nn.Dropout(0.5), built["dropped part"].lm_head)
    return {name: model.eval() for name, model in built.items()}


def priced(vocabulary: int) -> dict[str, torch.nn.Module]:
    """Models whose tokens meet few of their weights."""
    size = {"vocab_size": vocabulary, "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1,
            "num_attention_heads": 2, "num_key_value_heads": 2, "head_dim": 8}  # fmt: skip
    experts = {"num_experts": 4, "num_experts_per_tok": 1, "moe_intermediate_size": 16, "mlp_only_layers": []}
    configs = {
        "untied": Qwen3Config(**size, tie_word_embeddings=False),
        "tied": Qwen3Config(**size, tie_word_embeddings=True),
        "experts": Qwen3MoeConfig(**size, **experts, tie_word_embeddings=True),
    }
    return {name: of_config(one) for name, one in configs.items()}


def of_config(config: PretrainedConfig, attention: str | None = "sdpa") -> torch.nn.Module:
    """A model of its own copy of a config."""
    return AutoModelForCausalLM.from_config(copy.deepcopy(config), attn_implementation=attention)


if __name__ == "__main__":
    main(*sys.argv[1:])
