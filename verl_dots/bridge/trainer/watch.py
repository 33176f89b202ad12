"""Ends a run of which a process has died, where verl would wait for it for ever.

verl asks its TransferQueue again and again until all rollouts of a step are there, and waits for the queue's answers
without a limit. Neither ends where an agent loop worker or the queue itself has died. What verl waits for by `ray.get`
tells of a death by itself, and is given the time to.
"""

import faulthandler
import logging
import signal
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Any, Self

import ray
from ray.exceptions import ActorDiedError, RayError
from transfer_queue import interface

logger = logging.getLogger(__name__)

EVERY_SECONDS = 2.0
PATIENCE_SECONDS = 10.0  # in which whoever waits for a process may tell of its death
CLOSING_SECONDS = 30.0  # in which the run may end in order, once it is told
SIGNAL = signal.SIGUSR2  # to this process alone; Ray and verl use it for nothing
STANDARD_ERROR = 2
GENERATING = SERVER, AGENT_LOOP = "rollout server", "agent loop worker"
QUEUE = CONTROLLER, STORAGE = "controller of the TransferQueue", "storage of the TransferQueue"


class ProcessDied(RuntimeError):
    """A process that a step needs has died; the message names it.

    Args:
        name: what it was for.
        told: Ray's words.
    """

    def __init__(self, name: str, told: str):
        super().__init__(name, told)  # from which Ray makes it again in another process
        self.name, self.told = name, told

    def __str__(self) -> str:
        return f"the {self.name} has died, which the run waits for: {self.told}"

    @property
    def only_rolled_out(self) -> bool:
        """Whether all that the run has learnt is in other processes."""
        return self.name in GENERATING


class Watch:
    """A context in which the death of a process raises ProcessDied in the main thread, whatever that waits for.

    Args:
        actors: handles by what they are for.
        patience: seconds that are left to whoever notices by itself.
    """

    def __init__(self, actors: Mapping[str, Iterable[Any]], patience: float = PATIENCE_SECONDS):
        self._patience = patience
        # Each actor is asked whether it is ready. A busy one answers late; the question to a dead one fails at once.
        self._asked = {
            actor.__ray_ready__.remote(): (name, actor) for name, handles in actors.items() for actor in handles
        }
        self._over = threading.Event()
        self.death: ProcessDied | None = None
        self._holds = 0
        self._told = False  # the main thread, of the death
        self._thread = threading.Thread(target=self._watch, name="watch", daemon=True)

    def __enter__(self) -> Self:
        self._before = signal.signal(SIGNAL, self._raise)
        self._thread.start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: Any) -> None:
        self._over.set()
        self._thread.join(CLOSING_SECONDS)
        faulthandler.cancel_dump_traceback_later()
        signal.signal(SIGNAL, self._before)
        if kind is KeyboardInterrupt and self.death:
            raise self.death from None

    @contextmanager
    def held(self) -> Iterator[None]:
        """Leave the main thread alone, as while it saves what is left of the run; its waits end otherwise.

        But for an answer of the TransferQueue: where one of its processes has died, no other comes.
        """
        self._holds += 1
        try:
            yield
        finally:
            self._holds -= 1

    def _watch(self) -> None:
        while not self.death:
            if self._over.wait(EVERY_SECONDS):
                return
            self._look()
        logger.error("%s", self.death)
        self._allow(self._patience + CLOSING_SECONDS)
        while not self._over.wait(self._patience):
            if self._holds:
                self._allow(self._patience + CLOSING_SECONDS)
            if not self._told:
                signal.pthread_kill(threading.main_thread().ident, SIGNAL)

    def _allow(self, seconds: float) -> None:
        """Let this process run on for so long; then it ends itself with a trace of all threads.

        The timer needs none of them: a main thread in a library that keeps Python's lock stops all others.
        """
        faulthandler.dump_traceback_later(seconds, exit=True, file=STANDARD_ERROR)

    def _look(self) -> None:
        """Ask those that have answered again; note the first that has died."""
        answered, _ = ray.wait(list(self._asked), num_returns=len(self._asked), timeout=0)
        for question in answered:
            name, actor = self._asked.pop(question)
            try:
                ray.get(question, timeout=EVERY_SECONDS)  # the answer is there
            except ActorDiedError as error:
                self.death = ProcessDied(name, " ".join(str(error).split()))
                return
            except RayError as error:
                logger.warning("the %s cannot be reached: %s", name, error)
            self._asked[actor.__ray_ready__.remote()] = (name, actor)

    def _raise(self, number: int, frame: FrameType | None) -> None:
        if self._over.is_set() or self._told:
            return
        if not self._holds or (self.death and self.death.name in QUEUE and _asks_queue(frame)):
            self._told = True
            raise KeyboardInterrupt  # the only exception that Ray lets through while it waits


def _asks_queue(frame: FrameType | None) -> bool:
    """Whether what runs in this frame was called by the TransferQueue's client."""
    while frame is not None and frame.f_globals.get("__name__", "").partition(".")[0] != interface.__package__:
        frame = frame.f_back
    return frame is not None


@contextmanager
def ends_in_time(seconds: float = 4 * CLOSING_SECONDS) -> Iterator[None]:
    """A context whose process ends itself so long after an error has left it, should what closes the run stand still.

    What closes a run asks processes of which one may have died: trackers, the TransferQueue.
    """
    try:
        yield
    except BaseException:
        faulthandler.dump_traceback_later(seconds, exit=True, file=STANDARD_ERROR)
        raise


def processes_of(trainer: Any, agent_loop_manager: Any) -> dict[str, list[Any]]:
    """What the steps of a trainer need, by what it is for.

    Args:
        trainer: verl's, ready to train.
        agent_loop_manager: that it trains with.
    """
    found = {"worker of the actor": list(trainer.actor_rollout_wg.workers)}
    if trainer.use_critic:
        found["worker of the critic"] = list(trainer.critic_wg.workers)
    replicas = trainer.llm_server_manager.get_replicas()
    found[SERVER] = [server for replica in replicas for server in replica.servers]
    found[AGENT_LOOP] = list(agent_loop_manager.agent_loop_workers)
    return found | queue_processes()


def queue_processes() -> dict[str, list[Any]]:
    """Of the TransferQueue that this process has started."""
    controller = ray.get_actor("TransferQueueController", namespace="transfer_queue")
    units = (interface._TQ_STORAGE or {}).get("SimpleStorage") or {}
    return {CONTROLLER: [controller], STORAGE: list(units.values())}
