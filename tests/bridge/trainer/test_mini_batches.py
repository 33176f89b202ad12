import numpy as np
import pytest

from verl_dots.bridge.queue.rows import Rows
from verl_dots.bridge.trainer.mini_batches import MiniBatchTrainer, even_padding, rank_multiple, whole_cuts
from verl_dots.launch.compose import compose

ACTOR, ROLLOUT, REF = (f"actor_rollout_ref.{part}" for part in ("actor", "rollout", "ref"))


def test_rows_of_a_rank_are_whole_micro_batches_of_every_pass():
    def multiple(*overrides, critic=0):
        return rank_multiple(compose(["device=cpu", *overrides]).actor_rollout_ref, 2, critic)

    assert multiple() == 2  # two mini-batches
    assert multiple(critic=3) == 6
    actor = [f"{ACTOR}.use_dynamic_bsz=False", f"{ACTOR}.ppo_micro_batch_size_per_gpu=8"]
    rollout = [f"{ROLLOUT}.log_prob_use_dynamic_bsz=False", f"{ROLLOUT}.log_prob_micro_batch_size_per_gpu=6"]
    ref = [f"{REF}.log_prob_use_dynamic_bsz=False", f"{REF}.log_prob_micro_batch_size_per_gpu=7"]
    assert multiple(*actor) == 16
    assert multiple(*rollout) == 6
    assert multiple(*actor, *rollout) == 48
    assert multiple(*ref) == 14
    assert multiple("critic.use_dynamic_bsz=False", "critic.ppo_micro_batch_size_per_gpu=5", critic=3) == 6


@pytest.mark.parametrize(
    ("updates", "ranks", "real", "cuts"),
    [(4, 1, 100, 4), (4, 2, 8, 4), (4, 2, 7, 2), (4, 2, 3, 1), (4, 8, 1, 1), (6, 1, 5, 3), (1, 1, 0, 1)],
)
def test_no_mini_batch_lacks_a_row_to_learn_from(updates, ranks, real, cuts):
    assert whole_cuts(updates, ranks, real) == cuts


def test_rows_that_pad_lie_evenly_in_each_part():
    assert even_padding([False] * 3, 1) == [0, 1, 2]
    assert even_padding([False, False, True, True], 1) == [0, 2, 1, 3]
    assert even_padding([False, False, False, True], 1) == [0, 1, 3, 2]
    assert even_padding([False, False, True, False, True, True], 2) == [
        0,
        2,
        1,
        4,
        5,
        3,
    ]  # the second rank begins elsewhere
    assert even_padding([True, True], 1) == [0, 1]


@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize("updates", [1, 2, 4, 8])
@pytest.mark.parametrize("real", range(1, 65))
def test_each_optimizer_step_has_its_share_of_the_rows_to_learn_from(ranks, updates, real):
    rows = 64
    padding = [place % (rows // ranks) >= -(-real // ranks) for place in range(rows)]
    there = rows - sum(padding)
    order = even_padding(padding, ranks)
    assert sorted(order) == list(range(rows))
    assert all(set(part) == set(whole) for part, whole in zip(
        np.split(np.array(order), ranks), np.split(np.arange(rows), ranks), strict=True))  # fmt: skip
    cuts = whole_cuts(updates, ranks, there)
    learning = (~np.array(padding)[order]).reshape(ranks, cuts, -1).sum(axis=2)
    assert learning.sum(axis=0).min() >= 1
    assert (abs(learning - there / ranks / cuts) <= 1).all()


@pytest.mark.parametrize(("ranks", "real", "updates"), [(8, 24, 2), (8, 72, 8), (16, 80, 4)])
def test_optimizer_steps_of_many_ranks_have_equal_shares(ranks, real, updates):
    rows = -(-real // (ranks * updates)) * ranks * updates
    padding = [place % (rows // ranks) >= real // ranks for place in range(rows)]
    learning = (~np.array(padding)[even_padding(padding, ranks)]).reshape(ranks, updates, -1).sum(axis=(0, 2))
    assert (abs(learning - real / updates) <= 2).all()


class Cut(MiniBatchTrainer):
    """verl's own parts, of a batch in memory."""

    ranks, critic_ranks, reference_ranks, use_critic = 2, 4, 1, True
    on_sample_end = on_step_end = None

    def __init__(self, config):
        self.config = config

    def _balance_batch(self, batch, metrics):
        multiple = self._get_required_batch_multiple(self.ranks)
        pad = -len(batch) % multiple
        keys, tags = [f"pad_{place}_0" for place in range(pad)], [{"is_padding": True}] * pad
        return Rows.of([*batch.keys, *keys], [*batch.tags, *tags]).meta


def cut(real, *overrides, unequal=True):
    sizes = [
        "data.train_batch_size=8",
        f"{ACTOR}.ppo_mini_batch_size=4",
        "critic.ppo_mini_batch_size=2",
        f"{ROLLOUT}.n=4",
    ]
    trainer = Cut(compose(["device=cpu", *sizes, *overrides]))
    trainer.unequal_groups, trainer.global_steps = unequal, 1
    trainer.config.trainer.critic_warmup = 0
    rows = trainer.balance(Rows.of([f"a_{place}_0" for place in range(real)], [{} for _ in range(real)]), {})
    return trainer, rows


def test_a_batch_that_lacks_rows_divides_among_all_that_take_it():
    fixed = [f"{ACTOR}.use_dynamic_bsz=False", f"{ACTOR}.ppo_micro_batch_size_per_gpu=3"]
    assert len(cut(30)[1]) == 32  # 4 ranks of the critic with 4 mini-batches each
    trainer, rows = cut(30, *fixed)
    assert len(rows) == 48
    padding = np.array(["is_padding" in tag for tag in rows.tags]).reshape(2, 2, -1).sum(axis=2)
    assert (abs(padding - padding.mean(axis=1, keepdims=True)) <= 1).all()
    trainer.cut_evenly(rows, trainer.actor_updates)
    assert rows.meta.extra_info["mini_batch_size"] == 24 and rows.meta.extra_info["global_batch_size"] == 15
    trainer.cut_evenly(rows, trainer.critic_updates)
    assert rows.meta.extra_info["mini_batch_size"] == 12
    rows.meta.extra_info.update(dataloader_kwargs={"shuffle": True})  # verl's, of the settings
    assert rows.meta.extra_info["dataloader_kwargs"] == {"shuffle": False}


def test_a_batch_that_lacks_rows_divides_among_the_ranks_of_a_reference(monkeypatch):
    monkeypatch.setattr(Cut, "reference_ranks", 3)
    assert len(cut(30)[1]) == 48  # 2 ranks of the actor, 4 of the critic, 3 of the reference; 4 mini-batches


def test_a_batch_of_few_rows_makes_fewer_steps():
    trainer, rows = cut(3)
    trainer.cut_evenly(rows, trainer.critic_updates)
    assert len(rows) == 16 and rows.meta.extra_info["mini_batch_size"] == 16
    assert rows.meta.extra_info["global_batch_size"] == 3


def test_a_whole_batch_is_cut_by_verl():
    _, rows = cut(5, unequal=False)
    assert len(rows) == 16  # whole mini-batches of 4 questions
    assert ["is_padding" in tag for tag in rows.tags] == [False] * 5 + [True] * 11
