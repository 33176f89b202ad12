"""What a recipe would start."""

import os
import subprocess
from pathlib import Path

# The recipe runs in a bash whose `python` notes the overrides of a training and leaves everything else undone. `exec`
# would look for a program of that name.
NOTE = """
python() { [ "$1 $2" != "-m verl_dots.main" ] || printf '%s\\0' "${@:3}"; }
exec() { "$@"; exit; }
export -f python exec
export NOTHING_STARTS=yes  # to the recipes: what a run would read need not be there
builtin exec bash "$@"
"""


class RecipeError(ValueError):
    """A recipe that does not come to the start of a training."""


def overrides_of(recipe: str | Path, *arguments: str, **environment: str) -> list[str]:
    """The overrides that a recipe gives to `verl_dots.main`.

    Args:
        recipe: the script.
        arguments: of the recipe.
        environment: variables of the recipe, above those of this process.

    Raises:
        RecipeError: the recipe ends before, or trains nothing.
    """
    command = ["bash", "-c", NOTE, "bash", str(recipe), *arguments]
    variables = os.environ | {"DRY_RUN": ""} | environment  # with it a recipe would print its command
    done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=300)
    if done.returncode:
        raise RecipeError(f"{recipe} ends with status {done.returncode}: {done.stderr.strip()}")
    overrides = done.stdout.split("\0")[:-1]
    if not overrides:
        raise RecipeError(f"{recipe} trains nothing: it does not call `python -m verl_dots.main`")
    return overrides
