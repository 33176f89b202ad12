"""How many rollouts of a run may fail; a run that outlives some is in test_end_to_end.py."""

import re
from types import SimpleNamespace

import pytest
from ray.exceptions import ActorDiedError, ActorUnavailableError

from verl_dots.bridge.agents.failures import Failure, RolloutFailure, cause_of
from verl_dots.bridge.trainer.patience import WaitError
from verl_dots.training.failures import UNKNOWN_CAUSE, WINDOW, FailureCount


def test_a_share_is_of_the_rollouts_of_the_window():
    # 0.01 of 20 steps of 64 rollouts: 12.8, so 12 may fail.
    failures = FailureCount(0.01, 64)
    assert failures.allowed == 12 and not failures.exceeded
    failures.add(1, 8, [Failure("a_0", "ValueError: first"), Failure("a_1", "ValueError: second")])
    failures.add(5, 4, [])
    assert failures.failed == 12 and not failures.exceeded
    failures.add(6, 1, [Failure("b_0", "KeyError: third")])
    assert failures.exceeded
    message = str(failures.error())
    assert "13 rollouts failed in the last 20 steps" in message and "allows 12" in message
    assert "The first cause: ValueError: first" in message and "second" not in message


def test_what_is_longer_ago_than_the_window_counts_no_more():
    failures = FailureCount(0.01, 64)
    failures.add(1, 12, [])
    failures.add(WINDOW, 1, [])
    assert failures.exceeded
    failures.add(WINDOW + 1, 0, [])
    assert failures.failed == 1 and not failures.exceeded


@pytest.mark.parametrize(
    ("share", "rollouts", "failed", "exceeded"),
    [
        (0.0, 64, 0, False), (0.0, 64, 1, True), (1.0, 64, 64, False),
        # A step that fails altogether ends the run at any size.
        (0.01, 8, 8, True), (0.01, 64, 64, True), (0.01, 4096, 4096, True),
    ],
)  # fmt: skip
def test_how_many_may_fail_in_the_first_step(share, rollouts, failed, exceeded):
    failures = FailureCount(share, rollouts)
    failures.add(1, failed, [])
    assert failures.exceeded == exceeded and (UNKNOWN_CAUSE in str(failures.error())) == (failed > 0)


ENGINE = [Failure("a_0", "OverflowError: too long")]


@pytest.mark.usefixtures("cpu_environment")
@pytest.mark.parametrize("error", [ActorDiedError(), ActorUnavailableError("gone", None), OverflowError("too long")])
def test_a_validation_in_which_a_process_died_has_no_accuracy(monkeypatch, error):
    """A rollout that failed is wrong; of one whose engine has died nothing is known, and the run ends."""
    from verl_dots.bridge.trainer.bridge_trainer import BridgeTrainer
    from verl_dots.training.modes import SyncTrainer

    failed = [Failure("val_0", cause_of(error))]
    monkeypatch.setattr("verl_dots.training.tolerant_trainer.take_failures", lambda of: failed)
    monkeypatch.setattr(BridgeTrainer, "validate", lambda trainer: {"accuracy": 0.875})
    trainer = object.__new__(SyncTrainer)
    trainer.global_steps = 1
    if isinstance(error, OverflowError):
        assert trainer.validate() == {"accuracy": 0.875, "val-aux/failed_rollouts": 1.0}
        return
    with pytest.raises(RolloutFailure, match=r"^validation at step 1: 1 rollouts .* first cause: Actor\w+Error"):
        trainer.validate()


@pytest.mark.usefixtures("cpu_environment")
@pytest.mark.parametrize(
    ("error", "failures", "told"),
    [
        (
            RuntimeError("no materializable trajectories"),
            ENGINE,
            "no group is complete. The first cause: OverflowError",
        ),
        (RolloutFailure("waited 9 s for rollouts"), [], "waited 9 s for rollouts"),
        (ActorDiedError(), ENGINE, "a process died. The first cause: OverflowError: too long"),
        (ActorDiedError(), [], "a process died. The first cause: ActorDiedError: The actor died"),
        (WaitError("waited 9 s for `update_actor`"), ENGINE, None),
        (RuntimeError("shapes differ"), [], None),
    ],
)
@pytest.mark.parametrize("saving", ["works", "fails"])
def test_a_run_ends_with_the_cause_and_the_steps_before_are_saved(monkeypatch, tmp_path, error, failures, told, saving):
    from verl_dots.training.modes import SyncTrainer

    monkeypatch.setattr("verl_dots.training.tolerant_trainer.take_failures", lambda of: failures)
    trainer, saved = object.__new__(SyncTrainer), []

    def save():
        saved.append(trainer.global_steps)
        if saving == "fails":
            raise ActorDiedError()

    trainer.failures, trainer.global_steps, trainer.run = FailureCount(0.01, 8), 3, tmp_path
    trainer.pipeline, trainer.save = SimpleNamespace(store=None), save
    ended = trainer._ended(error)
    if told is None:
        assert ended is None and saved == []
    else:
        assert re.match(re.escape(f"step 3: {told}"), str(ended)) and saved == [2]
