"""Without flash-attn a run on GPUs is refused, or told of what it costs, before it starts."""

import json

import pytest

from tests.launches import ROOT, plain_config
from tests.refusals import changed, refused
from verl_dots.launch import attention_checks
from verl_dots.launch.attention_checks import KEY, SCRIPT, VERSION, WHEELHOUSE, check_attention, install_command

pytestmark = pytest.mark.usefixtures("cpu_environment")
ACTOR, SDPA = "actor_rollout_ref.actor", f"{KEY}=sdpa"
GIVEN = ["trainer.device=cuda", f"{KEY}=flash_attention_2", f"{ACTOR}.ppo_max_token_len_per_gpu=16384"]


@pytest.fixture
def config(tmp_path, monkeypatch):
    """Of a run on GPUs of a model with Qwen's vocabulary, where flash-attn is not installed."""
    monkeypatch.setattr(attention_checks, "has_flash_attention", lambda: False)
    (tmp_path / "config.json").write_text(json.dumps({"vocab_size": 151936}))
    return changed(plain_config(), [*GIVEN, f"actor_rollout_ref.model.path={tmp_path}"])


def test_flash_attention_must_be_installed_where_it_is_asked_for(config, monkeypatch):
    with refused(KEY, "machine", "not installed; bash scripts/flash_attn.sh, or", "sdpa"):
        check_attention(config)
    monkeypatch.setattr(attention_checks, "has_flash_attention", lambda: True)
    check_attention(config)


def test_a_critic_is_refused_without_it(config):
    with refused("algorithm.adv_estimator", "machine", "gae", "please install trl"):
        check_attention(changed(config, [SDPA, "algorithm.adv_estimator=gae"]))


def test_another_attention_is_warned_of(config, caplog):
    """Two more copies of the logits in bf16: 4 x 16,384 x 151,936 bytes."""
    check_attention(changed(config, [SDPA]))
    assert "10.0 GB more" in caplog.text and "16,384 tokens" in caplog.text
    caplog.clear()
    check_attention(changed(config, [SDPA, f"{ACTOR}.ppo_max_token_len_per_gpu=4096"]))
    assert "2.5 GB more" in caplog.text


def test_the_advice_is_a_limited_build_or_a_wheel_and_of_the_scripts_version(tmp_path):
    assert install_command(ROOT) == "bash scripts/flash_attn.sh"
    text = (ROOT / SCRIPT).read_text()
    assert f"\nVERSION={VERSION}\n" in text and f"\nWHEELHOUSE=${{WHEELHOUSE:-{WHEELHOUSE}}}\n" in text
    wheel = install_command(tmp_path)  # as in site-packages, where no script is
    assert wheel == f"pip install --no-deps --only-binary=:all: --index-url {WHEELHOUSE} flash-attn=={VERSION}"
