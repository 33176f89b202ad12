"""Sizes on several devices, which this machine need not have."""

import pytest

from tests.refusals import refused
from verl_dots.launch.batch_checks import ACTOR, CRITIC, REF, ROLLOUT, ULYSSES, check_batches, ranks_of
from verl_dots.launch.compose import compose

KL = f"{ACTOR}.use_kl_loss=true"
FIXED = [f"{ACTOR}.use_dynamic_bsz=false", f"{ROLLOUT}.log_prob_use_dynamic_bsz=false"]


def config(*overrides, devices=4, batch=8, mini=4, n=4):
    sizes = [f"data.train_batch_size={batch}", f"{ACTOR}.ppo_mini_batch_size={mini}", f"{ROLLOUT}.n={n}"]
    return compose(["device=cpu", f"trainer.n_gpus_per_node={devices}", *sizes, *overrides])


def test_ranks_are_those_of_verls_engines():
    assert ranks_of(config(), ACTOR) == 4
    assert ranks_of(config(f"{ACTOR}.{ULYSSES}=2"), ACTOR) == 2
    assert ranks_of(config(f"{ACTOR}.fsdp_config.{ULYSSES}=4"), ACTOR) == 1
    assert ranks_of(config(f"{ACTOR}.{ULYSSES}=2", f"{ACTOR}.fsdp_config.{ULYSSES}=4"), ACTOR) == 2
    assert ranks_of(config(f"{ACTOR}.{ULYSSES}=2"), REF) == 2 != ranks_of(config(f"{ACTOR}.{ULYSSES}=2"), CRITIC)
    assert ranks_of(config(f"{CRITIC}.fsdp.{ULYSSES}=2"), CRITIC) == 2


@pytest.mark.parametrize("key", [f"{ACTOR}.{ULYSSES}", f"{ACTOR}.fsdp_config.{ULYSSES}"])
def test_rows_divide_among_ranks_not_devices(key):
    check_batches(config(f"{key}=2", mini=3, n=2))
    with refused(f"{ACTOR}.ppo_mini_batch_size", "size"):
        check_batches(config(mini=3, n=2))


def test_a_reference_has_ranks_of_its_own_but_that_of_an_adapter_has_none():
    sizes = [*FIXED, f"{ACTOR}.ppo_micro_batch_size_per_gpu=4", f"{ROLLOUT}.log_prob_micro_batch_size_per_gpu=16"]
    alone = [KL, *sizes, f"{REF}.log_prob_use_dynamic_bsz=false", f"{ACTOR}.{ULYSSES}=2", f"{REF}.{ULYSSES}=1"]
    check_batches(config(*alone, f"{REF}.log_prob_micro_batch_size_per_gpu=8"))  # 32 rows, 4 ranks
    with refused(f"{REF}.log_prob_micro_batch_size_per_gpu", "size"):
        check_batches(config(*alone, f"{REF}.log_prob_micro_batch_size_per_gpu=16"))
    check_batches(config(*alone, f"{REF}.log_prob_micro_batch_size_per_gpu=5", "actor_rollout_ref.model.lora_rank=8"))


def test_a_batch_is_whole_mini_batches_of_actor_and_critic():
    # 6 questions are filled up to 8, of 4 rollouts each. Of 4 mini-batches of the actor one would be empty, of 2 none.
    gae = [*FIXED, "algorithm.adv_estimator=gae", f"{CRITIC}.ppo_mini_batch_size=4"]
    gae.append(f"{ACTOR}.ppo_micro_batch_size_per_gpu=4")
    micro = f"{ROLLOUT}.log_prob_micro_batch_size_per_gpu"
    with refused(f"{CRITIC}.ppo_mini_batch_size", "size", "6 questions", "8", ACTOR):
        check_batches(config(*gae, f"{micro}=32", devices=1, batch=6, mini=2))
    check_batches(config(*gae, f"{micro}=32", devices=1, batch=6, mini=4))
    with refused(micro, "size"):
        check_batches(config(*gae, f"{micro}=12", devices=1, batch=6, mini=4))
