"""The entropy bonus in a step, without Ray."""

import torch
from omegaconf import OmegaConf

from tests.methods.memory import carry_over, declared, make_run, put, together
from tests.refusals import refused
from verl_dots.methods.entropy_coefficient.stage import EntropyCoefficient
from verl_dots.step import Origin, Step

A = "entropy_coefficient"


def stage(**changes):
    settings = {"enable": True, "target": 0.5, "delta": 0.25, "most": 1.0, **changes}
    return EntropyCoefficient.make(make_run({A: settings}))


def rows_of(step, entropies, **more):
    """A group whose rollouts have entropies by token."""
    rows = put(step, more.pop("uid", "a"), (0.0,) * len(entropies), lengths=[len(of) for of in entropies], **more)
    rows.put({"entropy": [torch.tensor(of) for of in entropies]})
    return rows


def update(one, number, entropy):
    """A step's update; (its figures, the coefficients that the trainer was given)."""
    one.begin(step := Step(number))
    rows = rows_of(step, [[entropy]])
    assert one.reduce(step, rows) is rows
    return one.metrics(step), one.run.trainer.entropy_coefficients


def test_a_step_below_the_target_has_the_coefficient_and_the_next_one_more():
    one = stage()
    figures, given = update(one, 1, 0.25)
    assert figures == {f"{A}/coefficient": 0.0, f"{A}/bonus": 0.0, f"{A}/entropy": 0.25}
    assert set(figures) == declared(EntropyCoefficient)
    update(one, 2, 0.25)
    figures, _ = update(one, 3, 0.75)  # above: none in this step, and less in the next
    assert figures == {f"{A}/coefficient": 0.5, f"{A}/bonus": 0.0, f"{A}/entropy": 0.75}
    update(one, 4, 0.5)
    update(one, 5, 0.25)
    assert given == [0.0, 0.25, 0.0, 0.25, 0.25] and one.value == 0.5


def test_the_entropy_is_the_mean_over_the_tokens_of_the_steps_own_rollouts():
    one, step = stage(), Step(1)
    rows = together(
        rows_of(step, [[1.0], [0.25, 0.25]]),
        rows_of(step, [[7.0]], uid="b", origin=Origin.CACHED),
        rows_of(step, [[8.0]], uid="c", origin=Origin.REPLAYED),
        rows_of(step, [[9.0]], uid="d", padding=True),
    )
    one.reduce(step, rows)
    assert one.metrics(step)[f"{A}/entropy"] == 0.5


def test_a_step_without_rollouts_of_its_own_has_no_bonus_and_leaves_the_coefficient():
    one = stage(initial=0.5)
    one.begin(step := Step(1))
    one.reduce(step, rows_of(step, [[0.25]], origin=Origin.REPLAYED))
    assert one.run.trainer.entropy_coefficients == [0.0] and one.value == 0.5 and one.metrics(step) == {}


def test_a_step_without_an_update_leaves_it_too():
    one = stage(initial=0.5)
    one.begin(step := Step(1))
    one.observe(step, rows_of(step, [[0.25]]))
    assert one.value == 0.5 and one.metrics(step) == {}


def test_a_restored_coefficient_goes_on(tmp_path):
    one, restored = stage(), stage()
    update(one, 1, 0.25)
    carry_over(one, restored, tmp_path)
    assert update(restored, 2, 0.25)[0] == update(one, 2, 0.25)[0]
    with refused("entropy coefficient", "other run", "'value'"):
        one.load_state_dict({})


def test_the_trainer_sends_the_loss_where_the_coefficient_changes():
    from verl_dots.training.modes import SyncTrainer

    class Sending(SyncTrainer):
        def __init__(self):
            self.config = OmegaConf.create({"actor_rollout_ref": {"actor": {"entropy_coeff": 0}}})
            self.sent = []

        def send_actor_loss(self):
            self.sent.append(self.config.actor_rollout_ref.actor.entropy_coeff)

    trainer = Sending()
    for coefficient in (0.0, 0.5, 0.5, 0.25, 0.0):
        trainer.set_entropy_coefficient(coefficient)
    assert trainer.sent == [0.5, 0.25, 0.0]
