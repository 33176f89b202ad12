"""The small rollout engine: tokens in, tokens and log-probabilities out, for any transformers causal LM.

A loop with continuous batching: a step admits waiting prompts into free slots (passes over all but the last token of
each; equal ones once), then feeds every row its newest token and draws the next.
**The same tokens in every batch.** On a CPU a matrix product can round a row differently when the number of rows
changes, but only in the last rows of a block or in very small products. So row counts and lengths are multiples of
`kv_cache.ALIGN` and not too small (`attention.LEAST_LENGTH`), every sequence starts at position 0 of its slot, and
every response has its own random numbers: a request then gives bit for bit the same response alone and in any
company, in any order of arrival (tests/rollout/test_engine.py requires it, in float32 on a CPU, of sequences of up to
190 tokens). From some 400 tokens on log-probs may differ in their last digits, as products over positions do.
"""

from collections import deque
from collections.abc import Iterable, Mapping
from contextlib import suppress

import numpy as np
import torch

from verl_dots.rollout.attention import PromptsStored, SlotStep
from verl_dots.rollout.kv_cache import SlotCache, aligned
from verl_dots.rollout.lots import padded, prompt_lots
from verl_dots.rollout.request import BadRequest, Completion, Request, SeedBook
from verl_dots.rollout.sampling import sample_tokens
from verl_dots.rollout.settings import EngineConfig, EngineStats
from verl_dots.rollout.slots import Admission, SlotTable
from verl_dots.rollout.weights import replace_parameters


class Engine:
    """Owns the model, the cache and the queue; driven by `add` and `step` from one thread.

    Args:
        model: a transformers causal LM whose attention implementation is `attention.NAME`, in eval mode.
        config: limits and seed.
        eos_token_ids: tokens that end a response.
    """

    def __init__(self, model: torch.nn.Module, config: EngineConfig, eos_token_ids: Iterable[int] = ()):
        self.model = model
        self.config = config
        self.eos_token_ids = np.array(sorted(eos_token_ids), dtype=np.int64)
        self.vocabulary = model.get_input_embeddings().weight.shape[0]
        self.stats = EngineStats()
        self.version: int | None = None
        self._cache = SlotCache(config.max_num_seqs, config.max_model_len)
        self._seeds = SeedBook(config.seed)
        self._table = SlotTable()
        self._waiting: deque[Request] = deque()
        self._params: tuple[torch.Tensor | None, ...] | None = None

    @property
    def device(self) -> torch.device:
        """Where the model's weights are."""
        return self.model.get_input_embeddings().weight.device

    @property
    def running(self) -> int:
        """Sequences in slots."""
        return self._table.running

    @property
    def waiting(self) -> int:
        """Requests not admitted yet."""
        return len(self._waiting)

    @property
    def cache_bytes(self) -> int:
        """Memory of the keys and values."""
        return self._cache.nbytes

    def add(self, request: Request) -> None:
        """Queue a request.

        Raises:
            BadRequest: an empty or too long prompt, or a token outside the vocabulary.
        """
        prompt = request.prompt_ids
        if not prompt:
            raise BadRequest(f"request {request.request_id}: the prompt is empty; it needs at least one token")
        if min(prompt) < 0 or max(prompt) >= self.vocabulary:
            bad = next(token for token in prompt if not 0 <= token < self.vocabulary)
            raise BadRequest(f"request {request.request_id}: token {bad} is outside 0..{self.vocabulary - 1}")
        room = self.config.max_model_len - len(prompt)
        if room < 1:
            raise BadRequest(
                f"request {request.request_id}: a prompt of {len(prompt)} tokens leaves no room in max_model_len="
                f"{self.config.max_model_len}; shorten it or raise rollout.prompt_length or response_length"
            )
        self._waiting.append(request)

    @torch.inference_mode()
    def step(self) -> list[Completion]:
        """Admit what fits, generate one token a row, and return what has ended. No work: an empty list."""
        while self._admit():
            pass
        if not self.running:
            return []
        self._decode()
        return self._retire()

    def run(self) -> list[Completion]:
        """Step until nothing is left; completions in the order in which they ended."""
        done = []
        while self.running or self.waiting:
            done += self.step()
        return done

    def abort(self, request_id: str | None = None) -> list[Completion]:
        """End one request, or all, now; what was generated so far is returned with reason "aborted"."""
        table = self._table
        hits = [
            slot
            for slot, admission in enumerate(table.admissions)
            if admission is not None and request_id in (None, admission.request.request_id)
        ]
        ended = [table.take(slot, "aborted") for slot in hits]
        kept: deque[Request] = deque()
        for waiting in self._waiting:
            if request_id in (None, waiting.request_id):
                ended.append(Completion(waiting.request_id, [], [], "aborted", self.version))
            else:
                kept.append(waiting)
        self._waiting = kept
        self.stats.aborted += len(ended)
        self._compact()
        return ended

    def load_weights(self, weights: Mapping[str, torch.Tensor], version: int | None = None) -> None:
        """Overwrite all of the model's parameters, in place; nothing changes if any does not fit.

        Raises:
            RuntimeError: requests are running (abort or finish them first).
            ValueError: a parameter is missing, unknown or of another shape.
        """
        self._refuse_if_running("a weight update")
        replace_parameters(self.model, weights)
        if version is not None:
            self.version = version
        self._seeds.new_version()

    def release_cache(self) -> None:
        """Give the cache's memory back; it grows again with the next request.

        Raises:
            RuntimeError: requests are running.
        """
        self._refuse_if_running("releasing the cache")
        self._cache.clear()

    def _refuse_if_running(self, what: str) -> None:
        if self.running:
            raise RuntimeError(f"{self.running} requests are running: finish or abort them before {what}")

    # --- admission -------------------------------------------------------------------------------------------

    def _admit(self) -> bool:
        """Take waiting requests in, as slots and max_prefill_tokens allow; whether there was one.

        A prompt that is in a slot already is copied from there, so the responses to one prompt are computed once.
        Slots are filled in lots rather than one by one: a forward pass over one prompt costs almost as much as
        one over sixteen.
        """
        table, most = self._table, self.config.max_num_seqs
        if table.running and most - table.running < min(len(self._waiting), most // 16):
            return False
        source = table.prompts()  # prompt -> a slot that holds it
        fresh: dict[tuple[int, ...], int] = {}
        copies: list[tuple[int, int]] = []
        longest = 0
        for slot in table.free_slots(len(self._waiting), most):
            prompt = self._waiting[0].prompt_ids
            if prompt not in source:
                length = max(longest, aligned(len(prompt) - 1))
                if fresh and (len(fresh) + 1) * length > self.config.max_prefill_tokens:
                    break
                longest = length
                source[prompt] = fresh[prompt] = slot
            else:
                copies.append((source[prompt], slot))
                self.stats.shared_prompt_tokens += len(prompt)
            request = self._waiting.popleft()
            table.admit(slot, Admission.of(request, self._seeds, self.version, self.config.max_model_len))
        if not fresh and not copies:
            return False
        self._params = None
        self._cache.reserve(aligned(table.rows), longest)
        for lot in prompt_lots(fresh, lambda prompt: aligned(len(prompt) - 1), self.device.type):
            self._prefill(lot, [fresh[prompt] for prompt in lot])
        self._copy_slots([old for old, _ in copies], [new for _, new in copies])
        return True

    def _prefill(self, prompts: list[tuple[int, ...]], slots: list[int]) -> None:
        """Keys and values of all but the last token of every prompt, the longest first; the last one is decoded."""
        length = aligned(len(prompts[0]) - 1)
        tokens = padded([prompt[:-1] for prompt in prompts], length).to(self.device)
        positions = torch.arange(length, device=self.device)[None].expand(len(prompts), -1)
        last = self.model.config.get_text_config().num_hidden_layers - 1
        step = SlotStep(self._cache, True, slots=torch.tensor(slots, device=self.device), last_layer=last)
        with suppress(PromptsStored):
            self.model.base_model(input_ids=tokens, position_ids=positions, use_cache=False, slot_step=step)
        self.stats.prefills += 1
        self.stats.prompt_tokens += sum(map(len, prompts))

    def _copy_slots(self, source: list[int], target: list[int]) -> None:
        if target:
            longest = int(self._table.position[target].max()) + 1
            self._cache.copy_slots(*torch.tensor([source, target], device=self.device), longest)

    # --- one token a row -------------------------------------------------------------------------------------

    def _decode(self) -> None:
        """Feed every row's newest token and draw its next one. Rows [N], N aligned: the rest is idle."""
        table, idle = self._table, aligned(self._table.rows) - self._table.rows
        positions = np.pad(table.position[: table.rows], (0, idle))
        tokens = torch.from_numpy(np.pad(table.newest[: table.rows], (0, idle))).to(self.device)
        step = SlotStep.decode(self._cache, positions, self.device)
        self._cache.reserve(len(positions), max(length for _, _, length in step.blocks))
        output = self.model(
            input_ids=tokens[:, None], position_ids=step.positions[:, None], use_cache=False, slot_step=step
        )
        uniform = torch.from_numpy(table.next_uniform()).to(self.device)
        drawn = sample_tokens(output.logits[: table.rows, -1], *self._sampling_tensors(uniform))
        self.stats.generated_tokens += table.advance(*(tensor.cpu().numpy() for tensor in drawn))
        self.stats.decode_steps += 1

    def _sampling_tensors(self, uniform: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """temperature, uniform, top_p, top_k of the rows; the last two None where no row restricts its choice."""
        if self._params is None:
            params = self._table.sampling_params()
            self._params = tuple(p if p is None else torch.from_numpy(p).to(self.device) for p in params)
        temperature, top_p, top_k = self._params
        return temperature, uniform, top_p, top_k

    # --- the end of a row ------------------------------------------------------------------------------------

    def _retire(self) -> list[Completion]:
        """Take the rows that have ended out of their slots."""
        done = [self._table.take(slot, reason) for slot, reason in self._table.ended(self.eos_token_ids)]
        self.stats.completed += len(done)
        if done:
            self._compact()
        return done

    def _compact(self) -> None:
        """Close the gaps among the slots once that halves the rows (waiting requests fill gaps first)."""
        self._table.drop_idle_end()
        self._params = None
        if not self._waiting and aligned(self._table.rows) >= 2 * aligned(self.running):
            self._copy_slots(*self._table.close_gaps())
