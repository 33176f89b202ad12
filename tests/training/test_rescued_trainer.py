"""What a run has learnt is saved wherever an error ends it, but never a step that is half learnt."""

from types import SimpleNamespace

import pytest
import torch
from ray.exceptions import ActorDiedError
from safetensors import SafetensorError

from tests.run_on_disk import run_config, stock_checkpoint
from verl_dots.bridge.agents.failures import RolloutFailure
from verl_dots.bridge.trainer.patience import WaitError
from verl_dots.bridge.trainer.watch import ProcessDied
from verl_dots.methods.refill.stage import RefillError
from verl_dots.state import load_state, save_state

pytestmark = pytest.mark.usefixtures("cpu_environment")


class Broken(Exception):
    """What ends the run."""


@pytest.fixture
def made(monkeypatch):
    """Makes a trainer before its third step, what it has saved, and a function that has it make that step."""
    from verl_dots.bridge.trainer.bridge_trainer import BridgeTrainer
    from verl_dots.training.modes import SyncTrainer
    from verl_dots.training.rescued_trainer import RecordedTrainer, RescuedTrainer

    monkeypatch.setattr(BridgeTrainer, "update_actor", lambda trainer, rows, metrics: metrics["during"]())
    monkeypatch.setattr(BridgeTrainer, "update_critic", lambda trainer, rows, metrics: metrics["during"]())
    monkeypatch.setattr(BridgeTrainer, "forward", lambda trainer, field, rows, metrics: metrics["during"]())
    monkeypatch.setattr(BridgeTrainer, "compute_values", lambda trainer, rows, metrics: metrics["during"]())
    monkeypatch.setattr(RecordedTrainer, "step", lambda trainer, metrics, timing: metrics["does"](trainer, metrics))

    def of():
        trainer, saved = object.__new__(SyncTrainer), []
        trainer.pipeline = SimpleNamespace(states=lambda: {"of": trainer.global_steps})
        trainer.train_dataloader = SimpleNamespace(state_dict=lambda: {"place": trainer.global_steps})
        trainer.global_steps = 2
        trainer.save = lambda: saved.append(trainer.global_steps)
        RescuedTrainer.step(trainer, {"does": lambda *_: None}, {})
        trainer.global_steps = 3
        return trainer, saved, lambda **metrics: RescuedTrainer.step(trainer, metrics, {})

    return of


def breaks(*_):
    raise Broken


ENDS = [
    (RuntimeError("a tracker is gone"), [2]),
    (RolloutFailure("validation at step 2: 16 rollouts failed"), [2]),
    (RefillError("groups are missing", key="dots.refill.max_rounds", reason="size"), [2]),
    (ActorDiedError(), [2]),
    (ProcessDied("rollout server", "out of memory"), [2]),
    (ProcessDied("agent loop worker", "out of memory"), [2]),
    (ProcessDied("worker of the actor", "out of memory"), []),
    (ProcessDied("controller of the TransferQueue", "out of memory"), []),
    (WaitError("waited 9 s for `update_weights`"), []),
    (KeyboardInterrupt(), []),
]


@pytest.mark.parametrize(("error", "saved"), ENDS)
@pytest.mark.parametrize("where", ["behind a step", "in the next one"])
def test_an_error_ends_the_run_with_its_last_whole_step_saved(made, error, saved, where):
    def ends(*_):
        raise error

    trainer, found, step = made()
    with pytest.raises(type(error)), trainer.kept():
        if where == "in the next one":
            step(does=ends)
        ends()
    assert found == saved and trainer.global_steps == 3


@pytest.mark.parametrize(
    "work", [("update_actor",), ("update_critic",), ("forward", "old_log_probs"), ("compute_values",)]
)
def test_a_step_that_breaks_in_the_work_of_its_workers_leaves_none(made, work):
    trainer, found, step = made()
    with pytest.raises(Broken), trainer.kept():
        step(does=lambda one, metrics: getattr(one, work[0])(*work[1:], None, metrics), during=breaks)
    assert found == []


def test_a_step_that_breaks_behind_a_forward_pass_leaves_the_one_before_it(made):
    trainer, found, step = made()

    def does(one, metrics):
        one.forward("old_log_probs", None, metrics)
        raise Broken

    with pytest.raises(Broken), trainer.kept():
        step(does=does, during=lambda: None)
    assert found == [2]


def test_a_step_behind_its_updates_is_whole_again(made):
    trainer, found, step = made()
    step(does=lambda one, metrics: one.update_actor(None, metrics), during=lambda: None)
    with pytest.raises(Broken), trainer.kept():
        breaks()
    assert found == [3]


def test_what_was_saved_is_not_saved_again_and_what_could_not_be_is_not_tried_again(made):
    trainer, found, step = made()
    trainer.saving_step = 2
    trainer.pipeline.states = breaks  # nor is its state kept for that
    with pytest.raises(Broken), trainer.kept():
        step(does=breaks)
    assert found == []


@pytest.mark.parametrize(
    "second", [SafetensorError("Read-only file system"), ValueError("keys or partition were not found!"), Broken(2)]
)
def test_what_keeps_a_step_from_being_saved_is_told_beside_what_ends_the_run(made, second, caplog):
    def fails():
        raise second

    trainer, _, _ = made()
    trainer.save = fails
    first = RuntimeError("a tracker is gone")
    with pytest.raises(RuntimeError) as raised, trainer.kept():
        raise first
    assert raised.value is first and f"step 2 could not be saved: {type(second).__name__}: {second}" in caplog.text


@pytest.fixture
def on_disk(made, monkeypatch, tmp_path):
    """A trainer before its third step that saves to a folder, its run folder, and a function that makes the step."""
    from verl_dots.bridge.trainer.bridge_trainer import BridgeTrainer
    from verl_dots.training.failures import FailureCount
    from verl_dots.training.run_folder import RunFolder

    trainer, _, step = made()
    del trainer.save
    config = run_config(tmp_path)
    trainer.given, trainer.config, trainer.run = config, config, tmp_path
    trainer._record = trainer.checkpoint = trainer._fingerprints = trainer._this_step = None
    trainer._step_began, trainer.saved, trainer.timing_raw = 0.0, lambda folder: None, {}
    trainer.steps_per_epoch, trainer.failures = 4, FailureCount(0.1, 64)
    trainer.pipeline.save = lambda folder, states: save_state(folder / "states", "states", {"states": states})
    log = RunFolder(tmp_path, config, 0)
    trainer.logger = SimpleNamespace(logger={"run_folder": log})
    monkeypatch.setattr(BridgeTrainer, "save", lambda one: stock_checkpoint(one.run, one.global_steps))
    return trainer, log, step


def saved_states(folder):
    """Of the methods, and the place in the data."""
    return load_state(folder / "states", "states")["states"], torch.load(folder / "data.pt")


def test_what_a_broken_step_had_changed_before_its_updates_is_not_saved(on_disk):
    trainer, _, step = on_disk
    state, place = {"drawn": [1, 2]}, {"place": 2}
    trainer.pipeline.states, trainer.train_dataloader.state_dict = lambda: {"drawn": [*state["drawn"]]}, lambda: place

    def draws(*_):
        state["drawn"].append(3)
        place["place"] = 3
        breaks()

    with pytest.raises(Broken), trainer.kept():
        step(does=draws)
    assert saved_states(trainer.run / "global_step_2") == ({"drawn": [1, 2]}, {"place": 2})


def test_behind_a_step_its_own_states_are_saved(on_disk):
    trainer, _, step = on_disk
    step(does=lambda *_: None)
    with pytest.raises(Broken), trainer.kept():
        breaks()
    states, place = saved_states(trainer.run / "global_step_3")
    assert states is None and place != {"place": 3}  # the pipeline's own, and what verl has written


def test_an_unfinished_folder_of_the_step_is_written_anew(on_disk):
    """A save of step 2 was killed, and the run has begun again before it."""
    from verl_dots.checkpoints import Needs, faults

    trainer, _, step = on_disk
    (trainer.run / "global_step_2" / "actor").mkdir(parents=True)
    with pytest.raises(Broken), trainer.kept():
        step(does=breaks)
    assert faults(trainer.run / "global_step_2", Needs()) == []


FIGURES = {"training/generated_tokens": 10, "training/generated_rollouts": 4, "timing_s/step": 2.0}


@pytest.mark.parametrize("logged", [False, True])
def test_behind_the_end_of_its_rows_a_step_is_saved_with_its_row_and_counted_once(on_disk, monkeypatch, logged):
    """verl adds its figures of the step, clears its rows, and tells the trackers, of which the last writes the row."""
    from verl_dots.bridge.trainer.bridge_trainer import BridgeTrainer
    from verl_dots.training.run_folder import RunFolder
    from verl_dots.training.run_record import load_record

    def cleared(*_):
        raise ValueError("keys or partition were not found!")

    trainer, log, _ = on_disk
    trainer.global_steps = 2
    monkeypatch.setattr(BridgeTrainer, "add_figures", cleared)
    metrics = FIGURES | {"training/global_step": 2, "training/epoch": 0}
    trainer._this_step, trainer.generated = (None, metrics), lambda rows: {}
    if logged:
        log.log(metrics, 2)
    with pytest.raises(Broken), trainer.kept():
        breaks()
    record = load_record(trainer.run / "global_step_2")
    assert record.row == ({} if logged else metrics)
    resumed = RunFolder(trainer.run, trainer.config, 2, record)
    (row,) = resumed._rows()
    assert row["training/global_step"] == 2 == row["step"]
    for counted in (row, record.totals, resumed.totals_with(0.0, 0)):
        assert (counted["generated_tokens"], counted["generated_rollouts"]) == (10, 4)
