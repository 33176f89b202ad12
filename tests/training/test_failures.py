"""How many rollouts of a run may fail; a run that outlives some is in test_end_to_end.py."""

import re
from dataclasses import replace
from types import SimpleNamespace

import pytest
from ray.exceptions import ActorDiedError, ActorUnavailableError, RayTaskError

from tests.run_on_disk import run_config, stock_checkpoint
from verl_dots.bridge.agents.failures import Failure, RolloutFailure, cause_of
from verl_dots.bridge.trainer.patience import WaitError
from verl_dots.checkpoints import RECORD
from verl_dots.state import StateError, load_state, save_state
from verl_dots.step import Group, Step
from verl_dots.training.failures import UNKNOWN_CAUSE, WINDOW, FailureCount
from verl_dots.training.run_folder import RunFolder
from verl_dots.training.run_record import KIND, Failed, RunRecord, load_record, save_record

TOTALS = {"wall_seconds": 9.0, "train_seconds": 6.0, "generated_tokens": 30, "generated_rollouts": 12}


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


@pytest.mark.parametrize("cut", [1, 3, 20, 21, 30])
def test_a_run_that_was_cut_off_counts_on_as_one_that_was_not(tmp_path, cut):
    whole, resumed = FailureCount(0.01, 64), FailureCount(0.01, 64)
    for step in range(1, 40):
        failed = [Failure("a_0", f"KeyError: {step}")] * (step % 7 == 1 or step == cut)
        for one in (whole, resumed):
            one.add(step, len(failed), failed)
        if step == cut:
            resumed.add(step + 1, 9, [])  # of the step in which it is cut off, and which is repeated
            folder = tmp_path / f"global_step_{step}"
            save_record(folder, RunRecord(step, TOTALS, {}, {}, resumed.until(step)), {"trainer": {}})
            (resumed := FailureCount(0.01, 64)).resume(load_record(folder).failed)
        else:
            assert (resumed.failed, resumed.first) == (whole.failed, whole.first) and whole.first is not None
    assert whole.failed >= 3


def test_a_run_that_failures_have_ended_may_go_on_once_their_cause_is_mended(caplog):
    ended, resumed = FailureCount(0.01, 64), FailureCount(0.01, 64)
    ended.add(4, 13, [Failure("a_0", "KeyError: no such reward")])
    assert ended.exceeded
    resumed.resume(ended.until(4))
    assert resumed.failed == 0 and "counted anew" in caplog.text and "no such reward" in caplog.text
    (patient := FailureCount(0.02, 64)).resume(ended.until(4))
    assert patient.failed == 13 and patient.first == "KeyError: no such reward"


@pytest.mark.parametrize(
    ("name", "wrong"),
    [("steps", [2, 1]), ("steps", [1, 5]), ("steps", [1, 1]), ("steps", [1]), ("rollouts", [3, 0]), ("first", 7)],
)
def test_a_count_that_no_run_has_saved_is_refused(tmp_path, name, wrong):
    folder = tmp_path / "global_step_4"
    save_record(folder, RunRecord(4, TOTALS, {}, {}, Failed({1: 3, 2: 1}, "KeyError: a")), {"trainer": {}})
    state = load_state(folder / RECORD, KIND)
    state["failed"][name] = wrong
    save_state(folder / RECORD, KIND, state)
    with pytest.raises(StateError, match="the checkpoint has (steps|rollouts|first)="):
        load_record(folder)


def test_a_record_of_a_version_that_did_not_keep_them_has_none(tmp_path):
    folder = tmp_path / "global_step_4"
    state = {"step": 4, "totals": TOTALS, "row": [], "fingerprints": {}}
    save_state(folder / RECORD, replace(KIND, version=2), state)
    assert load_record(folder).failed == Failed()


@pytest.mark.usefixtures("cpu_environment")
def test_a_checkpoint_of_the_trainer_holds_the_count(monkeypatch, tmp_path):
    from verl_dots.bridge.trainer.bridge_trainer import BridgeTrainer
    from verl_dots.training.modes import SyncTrainer
    from verl_dots.training.tolerant_trainer import TolerantTrainer

    config = run_config(tmp_path / "run", trainer__v1__trainer_mode="sync")

    def made(step):
        trainer = object.__new__(SyncTrainer)
        trainer.given, trainer.config, trainer.run = config, config, tmp_path / "run"
        trainer.failures, trainer.global_steps = FailureCount(0.1, 64), step
        trainer._record = trainer.checkpoint = trainer._fingerprints = trainer._this_step = None
        trainer.checkpoint_callback, trainer.saved = None, lambda folder: None
        trainer._step_began, trainer.pipeline = 0.0, SimpleNamespace(save=lambda folder, states: None)
        trainer.logger = SimpleNamespace(logger={"run_folder": RunFolder(trainer.run, config, 0)})
        return trainer

    monkeypatch.setattr(BridgeTrainer, "save", lambda trainer: stock_checkpoint(trainer.run, trainer.global_steps))
    monkeypatch.setattr(BridgeTrainer, "load", lambda trainer: None)
    one, other = made(4), made(0)
    one.failures.add(3, 5, [Failure("a_0", "KeyError: a")])
    one.save()
    TolerantTrainer.load(other)
    assert other.checkpoint.name == "global_step_4"
    assert (other.failures.failed, other.failures.first) == (5, "KeyError: a")
    assert other.failures.until(4) == Failed({3: 5}, "KeyError: a")


def test_the_first_cause_is_of_those_that_are_counted():
    failures = FailureCount(0.01, 64)
    failures.add(3, 1, [Failure("a_0", "TimeoutError: a slow reward")])
    failures.add(5, 1, [Failure("a_1", "KeyError: no such reward")])
    assert failures.first == "TimeoutError: a slow reward"
    assert (failures.cause_in(5), failures.cause_in(6)) == ("KeyError: no such reward", None)
    assert failures.until(4) == Failed({3: 1}, "TimeoutError: a slow reward") and failures.until(2) == Failed()
    failures.add(5 + WINDOW, 0, [])  # all are longer ago
    assert failures.first is None and failures.until(5 + WINDOW) == Failed()
    failures.add(500, 1, [Failure("a_2", "OverflowError: too long")])
    assert failures.first == "OverflowError: too long"


@pytest.mark.usefixtures("cpu_environment")
@pytest.mark.parametrize("colocated", [False, True])
def test_a_validation_that_stands_still_leaves_its_step_to_be_saved(monkeypatch, colocated):
    """Unless a reward model may be what stands still, on the devices that would also have to save."""
    from verl_dots.bridge.trainer.bridge_trainer import BridgeTrainer
    from verl_dots.training.modes import SyncTrainer

    def waits(trainer):
        raise WaitError("waited 9 s for the validation at step 1")

    monkeypatch.setattr(BridgeTrainer, "validate", waits)
    trainer, saved = object.__new__(SyncTrainer), []
    trainer.reward_loop_manager = SimpleNamespace(reward_loop_worker_handles=None if colocated else [])
    trainer.global_steps = trainer._whole = 1
    trainer.save = lambda: saved.append(trainer.global_steps)
    kind = WaitError if colocated else RolloutFailure
    with pytest.raises(kind, match="waited 9 s for the validation at step 1"), trainer.kept():
        trainer.validate()
    assert saved == ([] if colocated else [1])


ENGINE = [Failure("a_0", "OverflowError: too long")]
MEMORY = RayTaskError("update_actor", "...", RuntimeError("out of memory")).as_instanceof_cause()


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
        (RolloutFailure("waited 9 s for rollouts"), ENGINE, "waited 9 s for rollouts. The first cause: OverflowError"),
        (WaitError("waited 9 s for `update_actor`"), ENGINE, None),
        (RuntimeError("shapes differ"), [], None),
        (MEMORY, ENGINE, None),
    ],
)
@pytest.mark.parametrize("saving", ["works", "fails"])
def test_a_run_ends_with_the_cause_and_the_steps_before_are_saved(monkeypatch, tmp_path, error, failures, told, saving):
    from verl_dots.training.modes import SyncTrainer
    from verl_dots.training.rescued_trainer import RescuedTrainer

    def ends(*_):
        raise error

    monkeypatch.setattr("verl_dots.training.tolerant_trainer.take_failures", lambda of: failures)
    monkeypatch.setattr(RescuedTrainer, "step", ends)
    trainer, saved = object.__new__(SyncTrainer), []

    def save():
        saved.append(trainer.global_steps)
        if saving == "fails":
            raise ActorDiedError()

    trainer.failures, trainer.global_steps, trainer.run = FailureCount(0.01, 8), 3, tmp_path
    trainer.failures.add(1, 1, [Failure("b_0", "TimeoutError: of another step")])
    trainer.save, trainer._whole, trainer.now = save, 2, Step(3)  # the third step has begun
    with pytest.raises(type(error) if told is None else RolloutFailure) as raised, trainer.kept():
        SyncTrainer.step(trainer, {}, {})
    assert saved == ([] if isinstance(error, WaitError) else [2])
    if told is None:
        assert raised.value is error
    else:
        assert re.match(re.escape(f"step 3: {told}"), str(raised.value)) and "of another step" not in str(raised.value)


@pytest.mark.usefixtures("cpu_environment")
def test_what_breaks_behind_the_rollouts_is_not_told_as_theirs(monkeypatch):
    """In an asynchronous mode others are in flight meanwhile, and may fail."""
    from verl_dots.training.modes import SyncTrainer

    monkeypatch.setattr("verl_dots.training.tolerant_trainer.take_failures", lambda of: ENGINE)
    trainer = object.__new__(SyncTrainer)
    trainer.failures, trainer.global_steps, trainer.now = FailureCount(0.01, 8), 3, Step(3)
    assert "no group is complete" in str(trainer._ended(RuntimeError("shapes differ")))
    trainer.now.groups = {"a": Group("a", (0.0, 1.0))}
    assert trainer._ended(RuntimeError("shapes differ")) is None
