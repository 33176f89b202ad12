"""The temperatures that verl's trainer can take, beside what it computes with."""

import pytest
import torch
from omegaconf import OmegaConf
from verl.workers.engine.fsdp.transformer_impl import _scale_logits_by_temperature

from verl_dots.bridge.queue.temperatures import computed_temperature
from verl_dots.launch.compose import compose


def config(dtype):
    given = {"actor_rollout_ref": {"actor": {"fsdp_config": {"mixed_precision": dtype and {"param_dtype": dtype}}}}}
    return OmegaConf.create(given)


@pytest.mark.parametrize(
    ("dtype", "given", "computed"),
    [
        # 0.5 to 1 in steps of 1 / 256, 1 to 2 in steps of 1 / 128.
        ("bf16", 0.6, 0.6015625),
        ("bf16", 1.18278, 1.1796875),
        ("bf16", 1.3, 1.296875),
        ("bfloat16", 0.5, 0.5),
        (None, 0.6, 0.6015625),  # verl's default
        ("fp16", 0.6, 0.60009765625),  # 1229 / 2048
        ("fp32", 0.6, 0.6),
    ],
)
def test_a_temperature_is_rounded_as_verl_rounds_it(dtype, given, computed):
    found = computed_temperature(config(dtype), given)
    assert found == computed
    # What verl divides by then is the same number: its logits are those of the exact one.
    if dtype == "bf16":
        logits = torch.tensor([[3.0, -1.5]], dtype=torch.bfloat16)
        scaled = [
            _scale_logits_by_temperature(logits, torch.tensor([[heat]]), is_unit_temperature=False)
            for heat in (given, found)
        ]
        assert torch.equal(*scaled) and torch.equal(scaled[1], (logits.float() / found).to(torch.bfloat16))


def test_of_a_composed_config_a_cpu_computes_in_float32_and_a_gpu_in_bfloat16(cpu_environment):
    assert computed_temperature(compose(["device=cpu"]), 0.6) == 0.6
    assert computed_temperature(compose(["actor_rollout_ref.rollout.name=vllm"]), 0.6) == 0.6015625
