"""Exact match on a marked final answer, the reward of arithmetic and the ladder."""

from verl_dots.rewards import problems

MARKER = "####"


def final_answer(response: str) -> str | None:
    """Return what follows the last `####`, stripped and without one trailing period.

    "so 40 + 2 #### 42." gives "42". Without a marker there is no answer: None.
    """
    _, marker, answer = response.rpartition(MARKER)
    if not marker:
        return None
    return answer.strip().removesuffix(".").rstrip().replace("\N{MINUS SIGN}", "-")


def score(response: str, ground_truth: str) -> float:
    """Return 1.0 if the marked answer equals the stripped ground truth as a string, else 0.0.

    Nothing is parsed: "42.0" and "042" do not equal "42". A minus sign is a hyphen. A response without the marker,
    or with nothing after it, scores 0.0.
    """
    answer = final_answer(response)
    return float(bool(answer) and answer == ground_truth.strip().replace("\N{MINUS SIGN}", "-"))


def answer_problem(ground_truth: str) -> tuple[str, str] | None:
    """Its kind and a message where a response that marks the ground truth does not score, else None."""
    if score(f"{MARKER} {ground_truth}", ground_truth) == 1.0:
        return None
    return problems.UNREADABLE, f"the reward cannot read the answer {ground_truth!r:.80}"
