"""The running sequences as arrays, one entry a slot, so that a step costs no Python loop over rows."""

from dataclasses import dataclass

import numpy as np

from verl_dots.rollout.request import Completion, Request, SeedBook

# Arrays of one number a slot: name -> (dtype, value of an idle slot).
COLUMNS = {
    "occupied": (bool, False),
    "position": (np.int64, 0),  # of the newest token, whose keys are written in the next step
    "newest": (np.int64, 0),  # the token itself
    "produced": (np.int64, 0),  # tokens generated so far
    "limit": (np.int64, 0),  # tokens to generate at most
    "temperature": (np.float32, 1.0),
    "top_p": (np.float32, 1.0),
    "top_k": (np.int64, -1),
    "ignore_eos": (bool, False),
}
# Arrays of one number a slot and generated token.
HISTORIES = {"uniform": np.float64, "tokens": np.int64, "log_probs": np.float32}


@dataclass(frozen=True)
class Admission:
    """A request with the random numbers of its tokens ([limit] float64 in [0, 1)) and its weights version."""

    request: Request
    uniform: np.ndarray
    version: int | None

    @classmethod
    def of(cls, request: Request, seeds: SeedBook, version: int | None, most: int) -> "Admission":
        """For a request that enters a slot now: it may have waited over an update, and is of the weights of now.

        Args:
            version: of the present weights.
            most: tokens of prompt and response together.
        """
        prompt, params = request.prompt_ids, request.params
        numbers = np.random.Generator(np.random.PCG64(seeds.seed_of(prompt, params, version)))
        return cls(request, numbers.random(min(params.max_tokens, most - len(prompt))), version)


class SlotTable:
    """Struct of arrays over the slots 0..rows-1; rows shrink and grow, gaps are idle slots."""

    def __init__(self):
        self.rows = 0
        self.admissions: list[Admission | None] = []
        self._stops: dict[int, np.ndarray] = {}
        for name, (dtype, idle) in COLUMNS.items():
            setattr(self, name, np.full(0, idle, dtype=dtype))
        for name, dtype in HISTORIES.items():
            setattr(self, name, np.zeros((0, 0), dtype=dtype))

    @property
    def running(self) -> int:
        """Occupied slots."""
        return int(self.occupied[: self.rows].sum())

    def free_slots(self, count: int, most: int) -> list[int]:
        """Up to `count` idle slots below `most`, gaps first."""
        gaps = np.flatnonzero(~self.occupied[: self.rows])[:count].tolist()
        fresh = range(self.rows, min(most, self.rows + count - len(gaps)))
        return gaps + list(fresh)

    def prompts(self) -> dict[tuple[int, ...], int]:
        """Every prompt that is in a slot, and one such slot."""
        return {a.request.prompt_ids: slot for slot, a in enumerate(self.admissions) if a is not None}

    def admit(self, slot: int, admission: Admission) -> None:
        """Put a request into an idle slot; its last prompt token is what the next step feeds."""
        params, prompt = admission.request.params, admission.request.prompt_ids
        self._grow(slot + 1, len(admission.uniform))
        self.rows = max(self.rows, slot + 1)
        self.admissions[slot] = admission
        self.occupied[slot] = True
        self.position[slot], self.newest[slot] = len(prompt) - 1, prompt[-1]
        self.produced[slot], self.limit[slot] = 0, len(admission.uniform)
        self.temperature[slot], self.top_p[slot], self.top_k[slot] = params.temperature, params.top_p, params.top_k
        self.ignore_eos[slot] = params.ignore_eos
        self.uniform[slot, : len(admission.uniform)] = admission.uniform
        if params.stop_token_ids:
            self._stops[slot] = np.array(params.stop_token_ids)

    def sampling_params(self) -> tuple[np.ndarray | None, ...]:
        """[rows] each: temperature, top_p, top_k; the last two None where no row restricts its choice."""
        rows = slice(0, self.rows)
        top_p = self.top_p[rows].copy() if (self.top_p[rows] < 1).any() else None
        top_k = self.top_k[rows].copy() if (self.top_k[rows] > 0).any() else None
        return self.temperature[rows].copy(), top_p, top_k

    def next_uniform(self) -> np.ndarray:
        """[rows] float64: the random number of each row's next token (0 where idle)."""
        rows = np.arange(self.rows)
        return np.where(self.occupied[: self.rows], self.uniform[rows, self.produced[: self.rows]], 0.0)

    def advance(self, tokens: np.ndarray, log_probs: np.ndarray) -> int:
        """Append one token ([rows] int64) and its log-probability to every occupied row; how many there were."""
        rows = np.flatnonzero(self.occupied[: self.rows])
        at = self.produced[rows]
        self.tokens[rows, at], self.log_probs[rows, at] = tokens[rows], log_probs[rows]
        self.newest[rows] = tokens[rows]
        self.produced[rows] += 1
        self.position[rows] += 1
        return len(rows)

    def ended(self, eos_token_ids: np.ndarray) -> list[tuple[int, str]]:
        """(slot, "completed" or "length") of every row that its newest token ends, by rising slot."""
        rows = slice(0, self.rows)
        stopped = np.isin(self.newest[rows], eos_token_ids) & ~self.ignore_eos[rows]
        for slot, stops in self._stops.items():
            stopped[slot] |= bool(np.isin(self.newest[slot], stops))
        stopped &= self.occupied[rows] & (self.produced[rows] > 0)
        full = self.occupied[rows] & (self.produced[rows] >= self.limit[rows])
        return [(slot, "completed" if stopped[slot] else "length") for slot in np.flatnonzero(stopped | full).tolist()]

    def take(self, slot: int, reason: str) -> Completion:
        """Empty a slot and return what it generated."""
        admission, count = self.admissions[slot], int(self.produced[slot])
        request = admission.request
        log_probs = self.log_probs[slot, :count].tolist() if request.params.logprobs else None
        completion = Completion(
            request.request_id, self.tokens[slot, :count].tolist(), log_probs, reason, admission.version
        )
        self._idle(slot)
        return completion

    def drop_idle_end(self) -> None:
        """Let the rows end with the last occupied slot."""
        occupied = np.flatnonzero(self.occupied[: self.rows])
        self.rows = int(occupied[-1]) + 1 if len(occupied) else 0

    def close_gaps(self) -> tuple[list[int], list[int]]:
        """Move the last rows into the gaps before them; returns the slots moved from and to."""
        source, target = [], []
        for gap in np.flatnonzero(~self.occupied[: self.rows]).tolist():
            self.drop_idle_end()
            if gap >= self.rows:
                break
            last = self.rows - 1
            self._move(last, gap)
            source.append(last)
            target.append(gap)
        self.drop_idle_end()
        return source, target

    def _move(self, source: int, target: int) -> None:
        for name in (*COLUMNS, *HISTORIES):
            column = getattr(self, name)
            column[target] = column[source]
        self.admissions[target] = self.admissions[source]
        if source in self._stops:
            self._stops[target] = self._stops[source]
        self._idle(source)

    def _idle(self, slot: int) -> None:
        self.admissions[slot] = None
        self._stops.pop(slot, None)
        for name, (_, idle) in COLUMNS.items():
            getattr(self, name)[slot] = idle

    def _grow(self, slots: int, width: int) -> None:
        """Room for `slots` slots and `width` generated tokens, doubling."""
        old, old_width = self.uniform.shape
        if slots > old:
            extra = max(slots, 2 * old) - old
            self.admissions += [None] * extra
            for name, (dtype, idle) in COLUMNS.items():
                setattr(self, name, np.concatenate([getattr(self, name), np.full(extra, idle, dtype=dtype)]))
        shape = (len(self.occupied), max(width, 2 * old_width) if width > old_width else old_width)
        if shape != (old, old_width):
            for name, dtype in HISTORIES.items():
                grown = np.zeros(shape, dtype=dtype)
                grown[:old, :old_width] = getattr(self, name)
                setattr(self, name, grown)
