"""How many rollouts of a run may fail."""

import logging
import math
from collections import defaultdict

from verl_dots.bridge.agents.failures import Failure, RolloutFailure
from verl_dots.training.run_record import Failed

logger = logging.getLogger(__name__)

WINDOW = 20  # steps over which failures are counted
UNKNOWN_CAUSE = "no cause was told; the agent loop worker may have died, see the log"


class FailureCount:
    """Failed rollouts of the last steps, and whether they are more than a run may have.

    A run may lose `share` of the rollouts that `WINDOW` steps train on. A reward that is broken ends the run in its
    first step; single failures, which a small batch would make a large share of, do not.

    Args:
        share: dots.max_failed_share; 0 ends the run at the first failure.
        rollouts: that a step trains on.
    """

    def __init__(self, share: float, rollouts: int):
        self.share, self.rollouts = share, rollouts
        self.first: str | None = None  # cause of the first of them
        self._failed: defaultdict[int, int] = defaultdict(int)  # by step
        self._newest: tuple[int, str | None] = (0, None)  # the newest step of them, and its first cause

    @property
    def allowed(self) -> int:
        """Failed rollouts in the last `WINDOW` steps that a run may have."""
        return math.floor(self.share * WINDOW * self.rollouts + 1e-9)

    @property
    def failed(self) -> int:
        """Failed rollouts in the last `WINDOW` steps."""
        return sum(self._failed.values())

    @property
    def exceeded(self) -> bool:
        """Whether the run must end."""
        return self.failed > self.allowed

    def add(self, step: int, missing: int, failures: list[Failure]) -> None:
        """Count rollouts of a step that did not come, with the causes that were told."""
        for old in [number for number in self._failed if number <= step - WINDOW]:
            del self._failed[old]
        if not self._failed:
            self.first = None
        if missing or failures:
            self._failed[step] += max(missing, len(failures))
            cause = failures[0].cause if failures else UNKNOWN_CAUSE
            self.first, self._newest = self.first or cause, (step, self.cause_in(step) or cause)

    def cause_in(self, step: int) -> str | None:
        """Cause of the first failure of the step at hand; None where none has failed."""
        return self._newest[1] if self._newest[0] == step else None

    def until(self, step: int) -> Failed:
        """For the checkpoint of a step: what is counted of a later one, which has broken, is counted anew."""
        counted = {number: self._failed[number] for number in sorted(self._failed) if number <= step}
        return Failed(counted, self.first if counted else None)

    def resume(self, failed: Failed) -> None:
        """Count on from a checkpoint; anew where these alone end the run, which has ended by them and shall go on."""
        self.first, self._failed = failed.first, defaultdict(int, failed.by_step)
        if self.exceeded:
            logger.warning("failed rollouts are counted anew, as those before the resume end a run: %s", self.error())
            self.first, self._failed = None, defaultdict(int)

    def error(self) -> RolloutFailure:
        """What ends the run."""
        return RolloutFailure(
            f"{self.failed} rollouts failed in the last {WINDOW} steps; dots.max_failed_share={self.share:g} allows "
            f"{self.allowed}. The first cause: {self.first}"
        )
