"""What is said before a run on GPUs that has too little memory of its node."""

import pytest

from tests.launches import plain_config
from tests.refusals import changed
from verl_dots.launch import memory_checks
from verl_dots.launch.memory_checks import check_memory
from verl_dots.sizes import GB

pytestmark = pytest.mark.usefixtures("cpu_environment")
# Of 8 GPUs three processes of 4 GB each, and a checkpoint of 12 bytes a parameter while it is written.
SEVEN = ["actor_rollout_ref.model.path=Qwen/Qwen2.5-7B", "trainer.n_gpus_per_node=8"]


@pytest.mark.parametrize(("free", "told"), [(187, False), (187.5, False), (60, True)])
def test_too_little_memory_is_told_with_what_is_needed(monkeypatch, caplog, free, told):
    monkeypatch.setattr(memory_checks, "free_memory", lambda: int((free + 1) * GB))
    check_memory(changed(plain_config(), SEVEN))
    assert ("the run may take 187.4 GB of memory on each node" in caplog.text) == told
    assert ("may take 61.0 GB more here" in caplog.text and "--mem=0" in caplog.text) == told


def test_a_reference_policy_stays_in_memory(monkeypatch, caplog):
    monkeypatch.setattr(memory_checks, "free_memory", lambda: 190 * GB)
    check_memory(changed(plain_config(), [*SEVEN, "actor_rollout_ref.actor.use_kl_loss=True"]))
    assert "may take 217.8 GB" in caplog.text  # 4 bytes a parameter more


def test_of_a_model_without_a_known_shape_nothing_is_said(monkeypatch, caplog, tmp_path):
    monkeypatch.setattr(memory_checks, "free_memory", lambda: 0)
    check_memory(changed(plain_config(), [f"actor_rollout_ref.model.path={tmp_path}"]))
    assert caplog.text == ""
