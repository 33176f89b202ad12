"""verl's synchronous V1 trainer with a run folder beside its checkpoints; it stops early when it is asked to."""

from transfer_queue import KVBatchMeta
from verl.trainer.ppo.v1 import PPOTrainerSync

from verl_dots.integration.run_folder import RunFolder


class RecordedTrainer(PPOTrainerSync):
    """Logs to `RunFolder`, and saves and ends after a step in which that was asked for."""

    _error: Exception | None = None  # what the run ends with

    def step(self, metrics: dict, timing_raw: dict) -> KVBatchMeta:
        """verl's; where a stop is requested, its loop saves this step, logs it and ends."""
        batch = super().step(metrics, timing_raw)
        if self.global_steps < self.total_training_steps and self.logger.logger["run_folder"].stop_requested():
            self.end_after_step()
        return batch

    def end_after_step(self, error: Exception | None = None) -> None:
        """Have verl's loop save the step at hand, log it and end; with an error the run then fails with it."""
        self.config.trainer.save_freq, self.total_training_steps = 1, self.global_steps
        self._error = error or self._error

    def _load_checkpoint(self) -> None:
        super()._load_checkpoint()
        self._resumed_step = self.global_steps  # which verl counts up before training begins

    def on_validate_begin(self) -> None:
        self._open_run_folder()
        super().on_validate_begin()

    def on_train_begin(self) -> None:
        self._open_run_folder()
        super().on_train_begin()

    def _open_run_folder(self) -> None:
        """Log to the run folder as to verl's trackers. verl makes its tracker in fit(), before these hooks."""
        if "run_folder" not in self.logger.logger:
            folder = self.config.trainer.default_local_dir
            self.logger.logger["run_folder"] = RunFolder(folder, self.config, self._resumed_step)

    def _shutdown_dump_executor(self) -> None:
        """The last call of a fit() that completes; after an exception the run stays without an end."""
        super()._shutdown_dump_executor()
        if self._error is not None:
            raise self._error
        self.logger.logger["run_folder"].finish()
