"""verl's V1 trainer with a run folder beside its checkpoints, which are whole or not there.

It stops early when it is asked to.
"""

import copy
import gc
import time
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from verl_dots.bridge.queue.rows import Rows
from verl_dots.bridge.trainer.bridge_trainer import BridgeTrainer
from verl_dots.checkpoints import set_aside
from verl_dots.training.fingerprints import fingerprints
from verl_dots.training.resume import find_checkpoint, repair_tracker, saved_by
from verl_dots.training.run_folder import ROLLOUTS, TOKENS, RunFolder, numbers
from verl_dots.training.run_lock import TRAINER, hold
from verl_dots.training.run_record import Failed, RunRecord, load_record, save_record
from verl_dots.training.saving import save_whole

WHOLE_ROW = "training/global_step"  # verl adds it with its figures of the whole step


class RecordedTrainer(BridgeTrainer):
    """Logs to `RunFolder`, and saves and ends after a step in which that was asked for.

    Args:
        config: verl's, which it changes.
        given: as the user gave it; what is compared with a checkpoint and kept with it.

    Attributes:
        checkpoint: what the run resumes from.
        saving_step: the last one that this start has saved, or tried to.
    """

    saving_step: int | None = None

    def __init__(self, config: DictConfig, given: DictConfig):
        self.given = given
        self.run = Path(config.trainer.default_local_dir)
        hold(self.run, TRAINER)
        self.checkpoint: Path | None = None
        self._error: Exception | None = None  # what the run ends with
        self._this_step: tuple[Rows, dict] | None = None  # that no row tells yet
        self._record: RunRecord | None = None
        self._fingerprints: dict[str, str | None] | None = None
        super().__init__(config)

    def step(self, metrics: dict, timing_raw: dict) -> Any:
        """verl's; where a stop is requested, its loop saves this step, logs it and ends."""
        self._step_began, self._this_step = time.monotonic(), None
        batch = super().step(metrics, timing_raw)
        self._this_step = (Rows(batch), metrics)
        if self.global_steps < self.total_training_steps and self.logger.logger["run_folder"].stop_requested():
            self.end_after_step()
        return batch

    def end_after_step(self, error: Exception | None = None) -> None:
        """Have verl's loop save the step at hand, log it and end; with an error the run then fails with it."""
        self.config.trainer.save_freq, self.total_training_steps = 1, self.global_steps
        self._error = error or self._error

    # --- checkpoints -----------------------------------------------------------------------------------------

    def save_stages(self, folder: Path) -> None:
        """Write what a checkpoint holds beside verl's own."""

    def generated_tokens(self, rows: Rows) -> int:
        """Response tokens that the step at hand has sampled; it trains on `rows`."""
        raise NotImplementedError

    def generated_rollouts(self, rows: Rows) -> int:
        """Rollouts that it has sampled, whether it trains on them or not; failed ones are none."""
        raise NotImplementedError

    def generated(self, rows: Rows) -> dict[str, int]:
        """Both, as the step's metrics."""
        return {TOKENS: self.generated_tokens(rows), ROLLOUTS: self.generated_rollouts(rows)}

    def failed(self) -> Failed:
        """Rollouts that failed in the steps up to the one at hand."""
        raise NotImplementedError

    def save(self) -> None:
        self.saving_step = self.global_steps
        save_whole(self.run, self.global_steps, self.config, saved_by(self.given), self._write_checkpoint, self.saved)

    def _write_checkpoint(self, folder: Path) -> None:
        self.logger.logger["run_folder"].sync()
        self.save_stages(folder)
        if self._fingerprints is None:
            self._fingerprints = fingerprints(self.given)
        row, seconds = self._row_so_far(), time.monotonic() - self._step_began
        tokens, rollouts = (int(row.get(name) or 0) for name in (TOKENS, ROLLOUTS))
        totals = self.logger.logger["run_folder"].totals_with(seconds if row else 0.0, tokens, rollouts)
        settings: dict[str, Any] = OmegaConf.to_container(self.given, resolve=True)
        record = RunRecord(self.global_steps, totals, row, self._fingerprints, self.failed())
        save_record(folder, record, settings)
        super().save()

    def _row_so_far(self) -> dict[str, float | None]:
        """The step's figures as verl will log them, but for the validation and the time of the save."""
        if self._this_step is None or self.logger.logger["run_folder"].last_step == self.global_steps:
            return {}  # it has its row
        rows, metrics = self._this_step
        row = copy.copy(metrics)
        once = self.config.actor_rollout_ref.rollout.get("moe_load_balance_metrics_interval", 0)
        if WHOLE_ROW not in row and not once:  # else verl has added its figures, and may have cleared the rows
            timing = self.timing_raw | {"step": time.monotonic() - self._step_began}
            epoch = (self.global_steps - 1) // self.steps_per_epoch
            self.add_figures(rows, row, timing, self.global_steps, epoch)
        return numbers(row | self.generated(rows))

    def load(self) -> None:
        self.checkpoint = find_checkpoint(self.given, claimed=True)
        repair_tracker(self.given, self.checkpoint)
        if self.checkpoint is not None:
            self._record = load_record(self.checkpoint)
            self.config.trainer.resume_from_path = str(self.checkpoint)  # verl reads the step from its end
        super().load()
        self._resumed_step = self.global_steps  # which verl counts up before training begins

    # --- the run folder --------------------------------------------------------------------------------------

    def on_validate_begin(self) -> None:
        self._open_run_folder()
        super().on_validate_begin()

    def on_train_begin(self) -> None:
        self._open_run_folder()
        self._validate_what_was_cut_off()
        super().on_train_begin()
        gc.collect()
        gc.freeze()  # no later pass need look at what lives as long as the run: 0.3 s of a core each

    def _open_run_folder(self) -> None:
        """Log to the run folder as to verl's trackers. verl makes its tracker in fit(), before these hooks."""
        if "run_folder" not in self.logger.logger:
            if self.config.trainer.resume_mode != "auto" and not self.config.trainer.get("val_only", False):
                set_aside(self.run, self._resumed_step)
            self.logger.logger["run_folder"] = RunFolder(self.run, self.config, self._resumed_step, self._record)

    def _validate_what_was_cut_off(self) -> None:
        """Validate the step that is resumed from where that was due and a crash came before its row."""
        step, often = self._resumed_step, self.config.trainer.test_freq
        due = step > 0 and often > 0 and (step % often == 0 or step >= self.total_training_steps)
        if not due or self._record is None or not self.logger.logger["run_folder"].lacks_validation(step):
            return
        self.global_steps -= 1  # verl has counted it up
        self.on_validate_begin()
        metrics = self.validate()
        self.on_validate_end()
        self.logger.log(data=metrics, step=step)
        self.global_steps += 1

    def completed(self) -> None:
        """The last call of a fit() that completes; after an exception the run stays without an end."""
        super().completed()
        if self._error is not None:
            raise self._error
        self.logger.logger["run_folder"].finish()
