"""Labels that look wrong, as sentences: wrong answers, answers cut short and verifiers that fail leave such marks.

`spikes`: more labels at exactly 0 or 1 than the values beside them lead to expect. Success rates of n tries whose
density near an end is a power of the distance to it, p^(a - 1), have counts there in proportion to
Gamma(k + a) / k!, k = 0, 1, 2 ... (the beta-binomial far from its other end). a is fitted to k = 1 to 8.
`disagreements`: equal questions whose labels, by the same labeller, differ by more than binomial noise.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from verl_dots.difficulty.label_files import LabelRow

NEIGHBOURS = 8
LEAST_TRIES = 16  # below, an unlikely success and none at all look the same
LEAST_LABELS = 20  # at an end
MOST_TRIES = 1024
SIGMAS, SIGMAS_OF_EQUALS = 3.0, 4.0
SHAPES = np.linspace(0.01, 3, 600)  # of a
SHOWN = 80  # characters of a question


def tries_of(rates: Sequence[float]) -> int | None:
    """Fewest tries that can give all of these success rates; None if that takes more than 1,024."""
    rate_N = np.unique(np.asarray(rates, dtype=np.float64))
    for tries in range(1, MOST_TRIES + 1):
        if np.abs(rate_N * tries - np.round(rate_N * tries)).max(initial=0) < 1e-6:
            return tries
    return None


def most_expected(count_K: np.ndarray) -> float:
    """Labels at the end itself, counts [1 + m] of the end and the m values beside it given: three sigmas above.

    The largest of those from all a whose log likelihood is within 4.5 of the best, and 3 standard deviations of it.
    """
    step_k = np.arange(len(count_K) - 1)
    weight_AK = np.cumprod((step_k + SHAPES[:, None]) / (step_k + 1), axis=1)
    total_A = weight_AK.sum(1)
    likelihood_A = (count_K[1:] * np.log(weight_AK / total_A[:, None])).sum(1)
    likely = likelihood_A >= likelihood_A.max() - SIGMAS**2 / 2
    most = float((count_K[1:].sum() / total_A[likely]).max())
    return most + SIGMAS * most**0.5


def spikes(rows: Sequence[LabelRow]) -> Iterator[str]:
    """One sentence for each labeller of a file and end with too many labels; none below 16 tries."""
    for labeller, found in _by_labeller(rows).items():
        tries_N = _tries(found)
        tries = Counter(tries_N).most_common(1)[0][0]
        if tries is None or tries < LEAST_TRIES:
            continue
        same = [row for row, its in zip(found, tries_N, strict=True) if its == tries]
        success_N = np.round(np.array([row.success_rate for row in same]) * tries).astype(int)
        count_K = np.bincount(success_N, minlength=tries + 1)
        for end, from_end_K in ((0, count_K), (1, count_K[::-1])):
            most = most_expected(from_end_K[: 1 + min(NEIGHBOURS, tries // 4)])
            if from_end_K[0] > max(most, LEAST_LABELS):
                example = same[int(np.flatnonzero(success_N == end * tries)[0])]
                yield (
                    f"{from_end_K[0]} of {len(same)} success rates of {labeller!r} are {end}, from the values beside "
                    f"it at most {most:.0f} are expected; are their answers right? The first: {example.text[:SHOWN]!r}"
                )


def disagreements(rows: Sequence[LabelRow], family: Callable[[str], str]) -> Iterator[str]:
    """One sentence for each labeller with equal questions, texts of one family, that differ by over 4 sigmas."""
    groups: dict[tuple[str, str], list[tuple[float, int, str]]] = defaultdict(list)
    for labeller, found in _by_labeller(rows).items():
        for row, tries in zip(found, _tries(found), strict=True):
            if tries is not None:
                groups[labeller, family(row.text)].append((row.success_rate, tries, row.text))
    several = {key: (min(group), max(group)) for key, group in groups.items() if len(group) > 1}
    count = Counter(labeller for labeller, _ in several)
    wrong: dict[str, list] = defaultdict(list)
    for (labeller, _), ((low, low_tries, text), (high, high_tries, _)) in several.items():
        if (sigmas := _sigmas(low, low_tries, high, high_tries)) > SIGMAS_OF_EQUALS:
            wrong[labeller].append((sigmas, f"{low:g} (of {low_tries} tries) and {high:g} (of {high_tries})", text))
    for labeller, found in wrong.items():
        _, rates, text = max(found)
        yield (
            f"{len(found)} of {count[labeller]} questions with several labels of {labeller!r} have success rates that "
            f"differ by more than chance, such as {rates}: {text[:SHOWN]!r}"
        )


def _by_labeller(rows: Sequence[LabelRow]) -> dict[str, list[LabelRow]]:
    found: dict[str, list[LabelRow]] = defaultdict(list)
    for row in rows:
        found[row.labeller].append(row)
    return found


def _sigmas(low: float, low_tries: int, high: float, high_tries: int) -> float:
    """Difference of two success rates in standard deviations, were both of the pooled rate."""
    pooled = (low * low_tries + high * high_tries) / (low_tries + high_tries)
    variance = pooled * (1 - pooled) * (1 / low_tries + 1 / high_tries)
    return (high - low) / variance**0.5 if variance > 0 else 0.0


def _tries(rows: Sequence[LabelRow]) -> list[int | None]:
    """Rollouts behind each label; where the file does not say, the fewest that can give them all."""
    silent = [row.success_rate for row in rows if row.rollouts is None]
    inferred = tries_of(silent) if silent else None
    return [inferred if row.rollouts is None else row.rollouts for row in rows]
