"""The port at which the workers of a run find each other.

verl asks the system for a free port, closes it, and the first worker opens it once it has torch: seconds later, minutes
on a busy machine. The system gives that port to whoever asks meanwhile, another run's workers among them; then the
worker ends with "address already in use", or joins the other run. These ports are given to nobody who does not ask for
them by number.
"""

import random
from functools import partial

# Above those of Ray's own workers (10002 to 19999), below those that Linux gives away (from 32768).
LEAST, MOST = 20000, 32000
ROOM = 1000  # ports that verl tries, one after the other


def port_range() -> list[int]:
    """[first, end) of the ports to try; another one for each run, whatever its seed, as runs stand side by side."""
    first = random.SystemRandom().randrange(LEAST, MOST - ROOM)
    return [first, first + ROOM]


def draw_ports() -> None:
    """Have the trainer's groups of workers meet at such a port. Call it in the process of the trainer."""
    import verl.trainer.ppo.v1.trainer_base as trainer_base
    from verl.single_controller.ray import RayWorkerGroup

    trainer_base.RayWorkerGroup = partial(RayWorkerGroup, master_port_range=port_range())
