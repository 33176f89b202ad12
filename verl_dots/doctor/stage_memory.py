"""How much memory a run takes in each stage of its steps: samples of it, and when the run was in which."""

import shutil
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from verl_dots.files import parse_json
from verl_dots.sizes import GB

# verl's names of what it times in a step, in the order in which a step has them -> ours.
STAGES = {
    "gen": "rollouts", "old_log_prob": "log-probs", "ref": "reference", "values": "values", "adv": "advantages",
    "update_critic": "critic's update", "update_actor": "update", "save_checkpoint": "save",
    "update_weights": "weights to the engine", "testing": "validation",
}  # fmt: skip
TOLD = ("gen", "old_log_prob", "update_critic", "update_actor", "save_checkpoint")  # whose memory is told
SAMPLE_SECONDS = 0.2
END_SECONDS = 60  # that the sampling thread has to end; a sample of GPUs may take 30
UPDATE_MEMORY = "actor/perf/max_memory_allocated_gb"  # GiB


@dataclass(frozen=True)
class Sample:
    """Bytes at a moment.

    Attributes:
        seconds: of the monotonic clock.
        ram: that the node has less than before the run.
        process: of the greatest process of the run.
        gpu: of the fullest GPU; None where there is none.
    """

    seconds: float
    ram: int
    process: int
    gpu: int | None


@dataclass
class Watched:
    """What was seen of a run.

    Attributes:
        ended: when the row of each step was there.
    """

    samples: list[Sample] = field(default_factory=list)
    ended: dict[int, float] = field(default_factory=dict)

    @property
    def ram(self) -> int:
        """The most of the node's RAM."""
        return max((sample.ram for sample in self.samples), default=0)

    @property
    def gpu(self) -> int | None:
        """The most of a GPU; None where there is none."""
        return max((sample.gpu for sample in self.samples if sample.gpu is not None), default=None)


@contextmanager
def watching(pid: int, metrics: Path) -> Iterator[Watched]:
    """Sample the memory of a process and all below it, and note when its run adds rows to `metrics`."""
    found, done = Watched(), threading.Event()
    rows = len(_steps(metrics))
    thread = threading.Thread(target=_watch, args=(done, found, pid, metrics, rows))
    thread.start()
    try:
        yield found
    finally:
        done.set()
        thread.join(END_SECONDS)


def _watch(done: threading.Event, found: Watched, pid: int, metrics: Path, rows: int) -> None:
    before = psutil.virtual_memory().available
    while True:
        now, free = time.monotonic(), psutil.virtual_memory().available
        found.samples.append(Sample(now, max(0, before - free), _greatest(pid), memory_of_gpus()))
        steps = _steps(metrics)
        for step in steps[rows:]:
            found.ended[step] = time.monotonic()
        rows = max(rows, len(steps))
        if done.wait(SAMPLE_SECONDS):
            return


def _steps(metrics: Path) -> list[int]:
    """Steps of the rows that are whole."""
    lines = metrics.read_text().splitlines(keepends=True) if metrics.is_file() else []
    return [int(parse_json(line)["step"]) for line in lines if line.endswith("\n")]


def _greatest(pid: int) -> int:
    """Resident bytes of the greatest process below one, itself included."""
    try:
        there = psutil.Process(pid)
        family = [there, *there.children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0
    sizes = [0]
    for process in family:
        try:
            sizes.append(process.memory_info().rss)
        except psutil.Error:  # it has ended
            continue
    return max(sizes)


def memory_of_gpus() -> int | None:
    """Most bytes that are taken of any GPU now; None where there are none."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return None
    asked = [tool, "--query-gpu=memory.used", "--format=csv,noheader,nounits"]
    said = subprocess.run(asked, capture_output=True, text=True, timeout=30).stdout.split()
    return max((int(number) for number in said if number.isdigit()), default=0) * 2**20


def spans(rows: Mapping[int, Mapping[str, float]], ended: Mapping[int, float]) -> Iterator[tuple[str, float, float]]:
    """When each step was in each stage: back from when its row was there, by the seconds that verl gives to each.

    What verl does not time lies between them, tenths of a second in a step.
    """
    for step, end in ended.items():
        for stage in reversed(STAGES):
            seconds = rows.get(step, {}).get(f"timing_s/{stage}") or 0.0
            if seconds:
                yield stage, end - seconds, end
            end -= seconds


def peaks(rows: Mapping[int, Mapping[str, float]], seen: Watched) -> dict[str, Sample]:
    """The sample of each stage that took most; none of a stage in which there was no sample."""
    found: dict[str, Sample] = {}
    for stage, begin, end in spans(rows, seen.ended):
        within = [sample for sample in seen.samples if begin <= sample.seconds <= end]
        known = [found[stage]] if stage in found else []
        if within or known:
            found[stage] = max([*within, *known], key=_taken)
    return found


def _taken(sample: Sample) -> int:
    return sample.process if sample.gpu is None else sample.gpu


def memory_text(rows: Mapping[int, Mapping[str, float]], seen: Watched) -> str:
    """The most that a run took of the node's RAM, and in each stage of a GPU, or of its greatest process without."""
    by_stage = peaks(rows, seen)
    told = [f"{STAGES[stage]} {_taken(by_stage[stage]) / GB:.2f} GB" for stage in TOLD if stage in by_stage]
    text = f"RAM: {seen.ram / GB:.1f} GB"
    if seen.gpu is None:
        return f"{text}; the greatest process: {_listed(told)}"
    update = max((row.get(UPDATE_MEMORY) or 0 for row in rows.values()), default=0) * 2**30
    return f"{text}; a GPU: {_listed(told)}, {seen.gpu / GB:.1f} GB at most; torch in the update {update / GB:.1f} GB"


def _listed(told: Sequence[str]) -> str:
    return ", ".join(told) or "no stage was long enough to be seen"
