"""Memory and time of the replay buffer, against a padded buffer of verl's DataProto.

    python -m scripts.bench_replay [--groups 512] [--rollouts 8] [--longest 3072] [--mean 800] [--steps 8]

Both buffers are filled with the same groups, of geometric response lengths; then every step puts new groups in, pushing
as many old ones out, and takes as many back, which are copied, as a batch would be. Baseline: one DataProto padded to
the longest response (tokens and masks int64, log-probs float32), concatenated and sliced. Both return the same tokens,
which is checked. Prints bytes per response token, and the ratio of the median seconds of a step on the last line.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from rich.table import Table
from tensordict import TensorDict
from tqdm import tqdm
from verl import DataProto

from verl_dots.methods.replay.buffer import ReplayBuffer
from verl_dots.methods.replay.sampling import freshest
from verl_dots.stored import Response, pack
from verl_dots.terminal import output

PROMPT_TOKENS = 100


class PaddedBuffer:
    """Groups as rows of one padded DataProto, oldest first."""

    def __init__(self, capacity: int, rollouts: int, longest: int):
        self.rows, self.longest = capacity * rollouts, longest
        self.data: DataProto | None = None

    def put(self, groups: Mapping[str, Sequence[Response]]) -> None:
        new = DataProto(batch=self._padded([response for group in groups.values() for response in group]))
        self.data = new if self.data is None else DataProto.concat([self.data, new])[-self.rows :]

    def newest(self, count: int) -> DataProto:
        """The last rows, copied."""
        return self.data.select_idxs(np.arange(len(self.data) - count, len(self.data)))

    @property
    def nbytes(self) -> int:
        return sum(value.nbytes for value in self.data.batch.values())

    def _padded(self, responses: Sequence[Response]) -> TensorDict:
        shape = (len(responses), self.longest)
        tokens, mask = torch.zeros(shape, dtype=torch.int64), torch.zeros(shape, dtype=torch.int64)
        log_probs = torch.zeros(shape)
        for row, response in enumerate(responses):
            T = len(response.tokens_T)
            tokens[row, :T] = torch.from_numpy(response.tokens_T)
            log_probs[row, :T] = torch.from_numpy(response.log_probs_T)
            mask[row, :T] = 1
        fields = {"responses": tokens, "response_mask": mask, "rollout_log_probs": log_probs}
        return TensorDict(fields, batch_size=len(responses))


def make_groups(
    options: argparse.Namespace, rng: np.random.Generator, step: int, count: int
) -> dict[str, list[Response]]:
    """Rollouts by question, half of them rewarded."""

    def response(place: int) -> Response:
        T = min(int(rng.geometric(1 / options.mean)), options.longest)
        return Response(rng.integers(0, 32000, T), -rng.exponential(1.0, T), float(place % 2))

    return {f"{step}-{number}": [response(place) for place in range(options.rollouts)] for number in range(count)}


def seconds(function: Callable[[], object]) -> tuple[float, object]:
    began = time.perf_counter()
    result = function()
    return time.perf_counter() - began, result


def put(buffer: ReplayBuffer, step: int, groups: Mapping[str, Sequence[Response]]) -> None:
    """Pack and keep."""
    prompt_N = np.zeros(PROMPT_TOKENS)
    buffer.put(pack(question, step, 1.0, prompt_N, responses) for question, responses in groups.items())


def take(buffer: ReplayBuffer, count: int) -> list[Response]:
    """Responses of the newest groups, copied."""
    return [
        Response(response.tokens_T.copy(), response.log_probs_T.copy(), response.reward)
        for group in buffer.sample(count)
        for response in group.responses()
    ]


def same_tokens(ours: Sequence[Response], padded: DataProto) -> bool:
    """Whether both hold the same responses, whatever their order."""
    found = sorted(
        tuple(row[keep].tolist())
        for row, keep in zip(padded.batch["responses"], padded.batch["response_mask"].bool(), strict=True)
    )
    return found == sorted(tuple(response.tokens_T.tolist()) for response in ours)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m scripts.bench_replay", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name, value, what in (
        ("groups", 512, "that both buffers hold"),
        ("rollouts", 8, "of a group"),
        ("longest", 3072, "most tokens of a response"),
        ("mean", 800, "mean tokens of a response"),
        ("steps", 8, "that are timed"),
        ("seed", 1, "of the lengths and tokens"),
    ):
        parser.add_argument(f"--{name}", type=int, default=value, help=f"{what} (default: %(default)s)")
    parser.add_argument(
        "--moved", type=int, default=64, help="groups put in and taken out a step (default: %(default)s)"
    )
    return parser.parse_args()


def main() -> None:
    options = parse()
    rng = np.random.default_rng(options.seed)
    ours = ReplayBuffer(options.groups, (0.0, 1.0), None, freshest, rng)
    padded = PaddedBuffer(options.groups, options.rollouts, options.longest)
    first = make_groups(options, rng, 0, options.groups)
    put(ours, 0, first)
    padded.put(first)
    times: dict[str, list[float]] = {"put, ours": [], "take, ours": [], "put, padded": [], "take, padded": []}
    for step in tqdm(range(1, options.steps + 1), desc="steps"):
        new = make_groups(options, rng, step, options.moved)
        responses, rows = None, None
        for name, function in (
            ("put, ours", lambda step=step, new=new: put(ours, step, new)),
            ("put, padded", lambda new=new: padded.put(new)),
            ("take, ours", lambda: take(ours, options.moved)),
            ("take, padded", lambda: padded.newest(options.moved * options.rollouts)),
        ):
            taken, result = seconds(function)
            times[name].append(taken)
            responses, rows = (result if name == "take, ours" else responses), result
        if not same_tokens(responses, rows):
            raise SystemExit(f"step {step}: the buffers hold different responses")
    report(options, ours, padded, times)


def report(
    options: argparse.Namespace, ours: ReplayBuffer, padded: PaddedBuffer, times: dict[str, list[float]]
) -> None:
    """Print the table and the two figures."""
    tokens = int(padded.data.batch["response_mask"].sum())
    median = {name: statistics.median(values) for name, values in times.items()}
    table = Table(title=f"{options.groups} groups x {options.rollouts} rollouts, {tokens:,} response tokens")
    for name in ("buffer", "MiB", "bytes per response token", "put (ms)", "take (ms)"):
        table.add_column(name, justify="left" if name == "buffer" else "right")
    for name, size in (("ours", ours.nbytes), ("padded", padded.nbytes)):
        cells = f"{size / 2**20:.1f}", f"{size / tokens:.2f}"
        table.add_row(name, *cells, *(f"{1000 * median[f'{what}, {name}']:.2f}" for what in ("put", "take")))
    console = output()
    console.print(table)
    console.print(f"bytes per response token: {ours.nbytes / tokens:.2f}", highlight=False)
    ratio = (median["put, padded"] + median["take, padded"]) / (median["put, ours"] + median["take, ours"])
    console.print(f"ratio: {ratio:.1f}", highlight=False)


if __name__ == "__main__":
    main()
