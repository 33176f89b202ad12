"""Grade ground truths against themselves in equal and in changed forms, and count by form what was graded wrong."""

import json
import random
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow.parquet as pq

from scripts.answer_shapes import core
from scripts.changed_forms import CHANGED
from scripts.equal_forms import EQUAL

# Files of published data -> where each comes from.
FILES = {
    "math500.jsonl": "test.jsonl of the hub's HuggingFaceH4/MATH-500",
    "olympiadbench_oe_to_maths_en.json": "OE_TO_maths_en_COMP.json, linked at github.com/OpenBMB/OlympiadBench",
    "deepscaler_10240.parquet": "DOTS's training set of DeepScaleR, published with the paper's code (arXiv 2506.05316)",
    "deepscaler_difficulty_uniform.parquet": "github.com/limenlp/verl, verl/data/deepscaler_uniform_train.parquet",
    "deepscaler_difficulty_skew_difficult.parquet": "there, verl/data/deepscaler_skew_difficult_train.parquet",
    "e3_train.parquet": "dataset/train_data.parquet of E3-RL4LLMs, published with the paper",
    "e3_valid.parquet": "dataset/valid_data.parquet of the same",
}
MEASUREMENTS = 60
LIMIT_SECONDS = 5

Grade = Callable[[str, str, bool], bool]  # response, ground truth, whether its numbers are measurements


@dataclass
class Rates:
    """Gradings and errors by form, with the longest times and the wrong ones."""

    gradings: dict[str, int] = field(default_factory=dict)
    errors: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)

    def add(self, form: str, gold: str, response: str, wrong: bool, seconds: float) -> None:
        self.gradings[form] = self.gradings.get(form, 0) + 1
        self.seconds.append(seconds)
        if wrong:
            self.errors.setdefault(form, []).append((gold, response))

    def merge(self, other: "Rates") -> None:
        """Add another sweep's."""
        for form, count in other.gradings.items():
            self.gradings[form] = self.gradings.get(form, 0) + count
        for form, errors in other.errors.items():
            self.errors.setdefault(form, []).extend(errors)
        self.seconds += other.seconds

    def rate(self, forms: dict) -> float:
        """Share of the gradings of some forms that are wrong."""
        total = sum(self.gradings.get(form, 0) for form in forms)
        return sum(len(self.errors.get(form, ())) for form in forms) / max(total, 1)

    def percentile(self, share: float) -> float:
        return sorted(self.seconds)[int(share * (len(self.seconds) - 1))]


def ground_truths(data: Path) -> list[str]:
    """Every different ground truth of the published files in a folder.

    Raises:
        FileNotFoundError: files are missing; all of them are named.
    """
    if missing := [name for name in FILES if not (data / name).is_file()]:
        raise FileNotFoundError(f"{data} lacks {', '.join(missing)}; --help says where they come from")
    found: dict[str, None] = {}
    for name in FILES:
        path = data / name
        if path.suffix == ".parquet":
            found |= dict.fromkeys(str(row["ground_truth"]) for row in pq.read_table(path)["reward_model"].to_pylist())
        elif path.suffix == ".jsonl":
            found |= dict.fromkeys(json.loads(line)["answer"] for line in path.read_text().splitlines())
        else:
            found |= dict.fromkeys(row["final_answer"][0] for row in json.loads(path.read_text()))
    return list(found)


def measurements(count: int = MEASUREMENTS, seed: int = 0) -> list[str]:
    """Numbers as Minerva's ground truths write them: 4.5e33, 6.02e23, 1e-3, 0.028."""
    chance = random.Random(seed)
    mantissas = [
        chance.choice([f"{chance.uniform(1, 9.99):.1f}", f"{chance.uniform(1, 9.99):.2f}", f"{chance.randint(1, 9)}"])
        for _ in range(count)
    ]
    powers = [f"{mantissa}e{chance.randint(-34, 40)}" for mantissa in mantissas]
    return [*powers, *(f"{chance.uniform(0, 50):.{chance.randint(1, 2)}f}" for _ in range(count // 2))]


def gradings(golds: list[str], others: list[str], seed: int = 0) -> Iterator[tuple[str, str, str, bool]]:
    """(form, ground truth, response, whether it is right) for each form that applies."""
    chance = random.Random(seed)
    cores = [core(other) for other in others]
    for gold in golds:
        text = core(gold)
        if not text:
            continue
        for name, form in EQUAL.items():
            if (response := form(text)) is not None:
                yield name, gold, response, True
        for name, form in CHANGED.items():
            if (response := form(text, chance.choice(cores))) is not None:
                yield name, gold, response, False


def sweep(grade: Grade, golds: list[str], others: list[str], measured: bool = False, seed: int = 0) -> Rates:
    """Grade all of them, each within the time limit; past it a response is wrong."""
    rates = Rates()
    previous = signal.signal(signal.SIGALRM, _out_of_time)
    try:
        for form, gold, response, right in gradings(golds, others, seed):
            start = time.perf_counter()
            signal.setitimer(signal.ITIMER_REAL, LIMIT_SECONDS)
            try:
                scored = grade(response, gold, measured)
            except TimeoutError:
                scored = False
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
            rates.add(form, gold, response, scored != right, time.perf_counter() - start)
    finally:
        signal.signal(signal.SIGALRM, previous)
    return rates


def _out_of_time(number, frame):
    raise TimeoutError
