"""Ray's start on a machine whose cores other runs have, too."""

import logging
from collections.abc import Callable

logger = logging.getLogger(__name__)

# Of the exception by which ray.init gives its own start up, after 30 s that no setting of Ray changes.
GAVE_UP = "timed out during startup"
TRIES = 3


def counted_cpus() -> int:
    """CPUs that Ray finds here where nobody tells it how many: the machine's, or a container's limit.

    It does not ask which cores its processes may use.
    """
    from ray._private.utils import get_num_cpus

    return int(get_num_cpus(override_docker_cpu_warning=True))


def with_patience(start: Callable[[], None], started: Callable[[], bool]) -> None:
    """Call what starts Ray, once more and a third time where Ray gave up its start.

    Args:
        start: starts Ray, and may go on from there.
        started: whether Ray is there; what is raised then is no matter of its start.

    Raises:
        Exception: any other of `start`; the third one of these.
    """
    for attempt in range(1, TRIES + 1):
        try:
            return start()
        except Exception as error:  # Ray has no class of its own for it
            if started() or GAVE_UP not in str(error) or attempt == TRIES:
                raise
            logger.warning(
                "Ray was not ready within its 30 s, as on a busy machine; start %d of %d", attempt + 1, TRIES
            )
