"""What a run has learnt is saved wherever an error ends it, but never a step that is half learnt."""

from types import SimpleNamespace

import pytest
from ray.exceptions import ActorDiedError

from tests.run_on_disk import run_config, stock_checkpoint
from verl_dots.bridge.agents.failures import RolloutFailure
from verl_dots.bridge.trainer.patience import WaitError
from verl_dots.bridge.trainer.watch import ProcessDied

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
    monkeypatch.setattr(RecordedTrainer, "step", lambda trainer, metrics, timing: metrics["does"](trainer, metrics))

    def of(store=None):
        trainer, saved = object.__new__(SyncTrainer), []
        trainer.pipeline, trainer.global_steps = SimpleNamespace(store=store), 2
        trainer.save = lambda: saved.append(trainer.global_steps)
        RescuedTrainer.step(trainer, {"does": lambda *_: None}, {})
        trainer.global_steps = 3
        return trainer, saved, lambda **metrics: RescuedTrainer.step(trainer, metrics, {})

    return of


def breaks(*_):
    raise Broken


@pytest.mark.parametrize(
    ("error", "saved"),
    [
        (RuntimeError("a tracker is gone"), [2]),
        (RolloutFailure("validation at step 2: 16 rollouts failed"), [2]),
        (ActorDiedError(), [2]),
        (ProcessDied("rollout server", "out of memory"), [2]),
        (ProcessDied("agent loop worker", "out of memory"), [2]),
        (ProcessDied("worker of the actor", "out of memory"), []),
        (ProcessDied("controller of the TransferQueue", "out of memory"), []),
        (WaitError("waited 9 s for `update_weights`"), []),
        (KeyboardInterrupt(), []),
    ],
)
def test_what_follows_a_step_ends_the_run_with_that_step_saved(made, error, saved):
    trainer, found, _ = made()
    with pytest.raises(type(error)), trainer.kept():
        raise error
    assert found == saved and trainer.global_steps == 3


def test_a_step_that_breaks_while_it_rolls_out_leaves_the_one_before_it(made):
    trainer, found, step = made()
    with pytest.raises(Broken), trainer.kept():
        step(does=breaks)
    assert found == [], "the stages are in the middle of something, unless the step itself says that they are not"
    trainer.save_the_step_before()
    assert found == [2] and trainer.global_steps == 3


@pytest.mark.parametrize("update", ["update_actor", "update_critic"])
def test_a_step_that_breaks_in_its_updates_leaves_none(made, update):
    trainer, found, step = made()
    with pytest.raises(Broken), trainer.kept():
        step(does=lambda one, metrics: getattr(one, update)(None, metrics), during=breaks)
    trainer.save_the_step_before()
    assert found == []


def test_a_step_behind_its_updates_is_whole_again(made):
    trainer, found, step = made()
    step(does=lambda one, metrics: one.update_actor(None, metrics), during=lambda: None)
    with pytest.raises(Broken), trainer.kept():
        breaks()
    assert found == [3]


def test_a_store_that_keeps_ahead_is_half_done_within_a_step_and_not_behind_one(made):
    trainer, found, step = made(SimpleNamespace(keeps_ahead=True))
    with pytest.raises(Broken):
        step(does=breaks)
    trainer.save_the_step_before()
    assert found == []
    trainer, found, _ = made(SimpleNamespace(keeps_ahead=True))
    with pytest.raises(Broken), trainer.kept():
        breaks()
    assert found == [2]


def test_what_was_saved_is_not_saved_again_and_what_could_not_be_is_not_tried_again(made):
    trainer, found, _ = made()
    trainer.saving_step = 2
    with pytest.raises(Broken), trainer.kept():
        breaks()
    assert found == []


def test_an_unfinished_folder_of_the_step_is_written_anew(made, monkeypatch, tmp_path):
    """A save of step 2 was killed, and the run has begun again before it."""
    from verl_dots.bridge.trainer.bridge_trainer import BridgeTrainer
    from verl_dots.checkpoints import Needs, faults
    from verl_dots.training.failures import FailureCount
    from verl_dots.training.run_folder import RunFolder

    trainer, _, step = made()
    del trainer.save
    config = run_config(tmp_path)
    trainer.given, trainer.config, trainer.run = config, config, tmp_path
    trainer._record = trainer.checkpoint = trainer._fingerprints = trainer._this_step = None
    trainer._step_began, trainer.save_stages, trainer.saved = 0.0, lambda folder: None, lambda folder: None
    trainer.failures = FailureCount(0.1, 64)
    trainer.logger = SimpleNamespace(logger={"run_folder": RunFolder(tmp_path, config, 0)})
    monkeypatch.setattr(BridgeTrainer, "save", lambda one: stock_checkpoint(one.run, one.global_steps))
    (tmp_path / "global_step_2" / "actor").mkdir(parents=True)
    with pytest.raises(Broken):
        step(does=breaks)
    trainer.save_the_step_before()
    assert faults(tmp_path / "global_step_2", Needs()) == []
