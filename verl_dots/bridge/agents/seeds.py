"""A request's own random numbers, whichever engine draws them: the one place that decides what a server is told.

With `rollout.full_determinism=True` verl 0.9.1 gives vLLM one seed for all requests of a replica. The rollouts of a
group could then all be equal, and GRPO would have no gradient. SGLang does the same in its deterministic mode.

    engine   a request has        when
    hf       `rollout_index`      always: its seed is that of the run, the weights' version, the prompt and this index
    vllm     `seed`               with full_determinism; else vLLM draws from the engine's own generator
    sglang   `sampling_seed`      with full_determinism; SGLang heeds it in its deterministic mode alone
"""

import hashlib
from collections.abc import Callable
from typing import Any

from verl_dots.bridge.agents.clients import AroundClient

# Engines that derive a request's seed themselves, from the index of its rollout.
INDEXED_ENGINES = ("hf",)
SEED_NAMES = {"vllm": "seed", "sglang": "sampling_seed"}


def request_seed(run_seed: int, step: int, prompt: str, rollout: int) -> int:
    """A seed in [0, 2^31), a hash of all that sets a request apart from every other of the run.

    Args:
        run_seed: of the run.
        step: train step that the request belongs to; validation before training has 0.
        prompt: text or token ids of the prompt.
        rollout: index of the rollout among all of this prompt in this step.
    """
    key = f"{run_seed}|{step}|{rollout}|{prompt}".encode()
    return int.from_bytes(hashlib.blake2b(key, digest_size=4).digest(), "big") >> 1


def own_randomness(rollout_config: Any, step: int, prompt: str, rollout: int) -> dict[str, int]:
    """Sampling parameters that give a request random numbers of its own; see the module.

    Args:
        rollout_config: actor_rollout_ref.rollout.
        step, prompt, rollout: see `request_seed`.
    """
    name = rollout_config.name
    if name in INDEXED_ENGINES:
        return {"rollout_index": rollout}
    if rollout_config.full_determinism and name in SEED_NAMES:
        return {SEED_NAMES[name]: request_seed(int(rollout_config.seed), step, prompt, rollout)}
    return {}


class DistinctRequests(AroundClient):
    """A rollout client whose requests each have a name of their own.

    With full_determinism verl names every request of its TransferQueue agent loops "det-0". The load balancer sends
    equal names to one server, so one replica would do all the work, and vLLM may refuse a name that is in flight.

    Args:
        client: verl's.
        name: gives the name of the rollout that the request at hand belongs to.
    """

    def __init__(self, client: Any, name: Callable[[], str]):
        super().__init__(client)
        self._name = name

    async def generate(self, request_id: str, **kwargs: Any) -> Any:
        """verl's, with another name where verl's is no one's own."""
        if request_id.startswith("det-"):
            request_id = f"det-{self._name()}"
        return await self._client.generate(request_id, **kwargs)
