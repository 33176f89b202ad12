"""Groups of rollouts that a checkpoint holds for later steps: whether the run that resumes can have sampled them."""

from typing import Any

from verl_dots.methods.run import Run
from verl_dots.state import StateError
from verl_dots.stored import ReplayGroup


def require_sampled(run: Run, group: ReplayGroup) -> None:
    """Pass a group of a checkpoint that the run can have sampled before.

    Raises:
        StateError: of a question that is not in the data, with a token that the model does not know, or of a step after
            the checkpoint's.
    """

    def require(name: str, value: Any, holds: bool, rule: str) -> None:
        if not holds:
            text = f"kept group of question {group.question}: the checkpoint has {name}={value}; it must be {rule}"
            raise StateError(f"{text}. Resume from an earlier checkpoint", key=name, reason="damaged")

    require("questions", group.question, group.question in run.questions, "a question of the data")
    last = group.step if run.resumed is None else run.resumed
    require("steps", group.step, group.step <= last, f"at most {last}, the checkpoint's own step")
    known = run.tokens or run.vocabulary
    for name in ("prompt_N", "tokens_N"):
        token = int(getattr(group, name).max(initial=0))
        require(name, token, token < known, f"tokens that the model knows, 0 to {known - 1}")
