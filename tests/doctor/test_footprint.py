"""What configs need."""

import pytest

from tests.launches import plain_config
from tests.refusals import changed
from verl_dots.doctor.footprint import footprint_of
from verl_dots.sizes import GB, ModelShape

pytestmark = pytest.mark.usefixtures("cpu_environment")
SHAPE = ModelShape(
    parameters=1_000_000, layers=2, hidden=20, intermediate=30, queries=16, keys=8, vocabulary=1_000, tied=True,
    positions=100_000_000,
)  # fmt: skip
ACTOR, ROLLOUT, MODEL = (f"actor_rollout_ref.{part}" for part in ("actor", "rollout", "model"))
ATTENTION = f"{MODEL}.override_config.attn_implementation"
# 10 tokens of 10 GB GPUs, four of them.
GIVEN = [
    f"{ATTENTION}=flash_attention_2", "trainer.n_gpus_per_node=4", f"{ACTOR}.ppo_max_token_len_per_gpu=10",
    f"{MODEL}.enable_gradient_checkpointing=True", f"{ROLLOUT}.gpu_memory_utilization=0.5",
    "data.max_prompt_length=5", "data.max_response_length=5", f"{ROLLOUT}.temperature=1.0",
    "critic.ppo_max_token_len_per_gpu=10", "critic.model.enable_gradient_checkpointing=True",
]  # fmt: skip
# A token of a micro-batch: 776 bytes in a block, 80 of the blocks' inputs.
REST = 2 * GB + 2 * GB + 2 * (20_000 + 2 * 490_000) + 6 * 490_000 + 10 * (776 + 80)
LOGITS = 2 * 10 * 1_000


def needs(*overrides: str):
    return footprint_of(changed(plain_config(), [*GIVEN, *overrides]), SHAPE, 10 * GB)


def test_a_run_needs_its_state_what_is_gathered_activations_and_logits():
    found = needs()
    assert found.update == 4_000_000 + REST + LOGITS  # 16 bytes a parameter over 4 ranks
    assert found.rollouts == 3_000_000 + 2 * GB + 5 * GB  # no gradients; half of the GPU
    assert found.checkpoint == 12_000_000 and found.disk == 36_000_000
    assert found.host == 4 * 12 * GB + 4 * 4_000_000
    assert found.sequences == (3 * GB - 2_000_000) // (64 * 10)
    assert found.gpu == found.rollouts


@pytest.mark.parametrize(
    ("overrides", "more"),
    [
        ([f"{ROLLOUT}.temperature=0.6"], 2 * LOGITS),
        (["dots.temperature.enable=True"], 2 * LOGITS),
        ([f"{ATTENTION}=sdpa"], 2 * LOGITS),
        ([f"{ACTOR}.entropy_coeff=0.001"], 2 * LOGITS),
        (["algorithm.adv_estimator=gae"], 3_000_000),  # a critic at rest
        (["trainer.nnodes=2"], -2_000_000),  # twice as many ranks
        ([f"{ACTOR}.ppo_max_token_len_per_gpu=20"], LOGITS + 10 * (776 + 80)),
    ],
)
def test_what_a_setting_costs_in_the_update(overrides, more):
    assert needs(*overrides).update - needs().update == more


GAE = "algorithm.adv_estimator=gae"


@pytest.mark.parametrize(
    ("critic", "of_critic"),
    [
        # Of the actor 10 tokens take 8,560 bytes and their logits 20,000: as much as 33.4 of the critic.
        (["critic.ppo_max_token_len_per_gpu=30"], None),
        (["critic.ppo_max_token_len_per_gpu=40"], 40 * (776 + 80)),
        # Without checkpointing each of both blocks keeps all of it.
        (["critic.ppo_max_token_len_per_gpu=40", "critic.model.enable_gradient_checkpointing=False"], 40 * 2 * 776),
    ],
)
def test_the_update_of_a_critic_counts_where_it_is_the_greater_one(critic, of_critic):
    without = 7_000_000 + REST - 10 * (776 + 80)  # 16 and 12 bytes a parameter, over 4 ranks
    expected = without + (10 * (776 + 80) + LOGITS if of_critic is None else of_critic)
    assert needs(GAE, *critic).update == expected
    assert needs(*critic).update == needs().update  # which has no critic


@pytest.mark.parametrize(
    ("overrides", "longest", "whole"),
    [
        (["name=vllm"], 100_000_000, 0),  # the model's, of 64 bytes a token: 6.4 GB, and there are 3
        (["name=vllm", "max_model_len=10"], 10, (3 * GB - 2_000_000) // 640),
        (["name=sglang"], 10, (3 * GB - 2_000_000) // 640),
    ],
)
def test_vllm_must_have_room_for_the_models_longest_sequence(overrides, longest, whole):
    found = needs(*(f"{ROLLOUT}.{each}" for each in overrides))
    assert (found.longest, found.whole) == (longest, whole)


def test_a_critic_is_saved_and_a_reference_policy_is_in_the_ram():
    assert needs("algorithm.adv_estimator=gae").checkpoint == 24_000_000
    assert needs(f"{ACTOR}.use_kl_loss=True").host - needs().host == 4_000_000
