"""MBPP+ (EvalPlus): 378 short Python functions with many tests each, for training and evaluation of code.

    python -m data_prep.mbpp_plus --out data/mbpp_plus.parquet

verl's own code reward scores them: data_source is "apps", whose ground truth is JSON {"fn_name", "inputs", "outputs"};
verl's sandbox reads the same form. Without a sandbox a response that passes all tests gets 1, any other 0. JSON knows
neither tuples nor sets and verl compares exactly, so some functions cannot be scored even when they are right: each
one's reference solution is run by verl's reward, and the row is left out if it fails (--no-check keeps it). That
executes the data set's code on this machine, as training executes the model's.
"""

import argparse
import ast
import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import pyarrow as pa

from data_prep.command import run
from data_prep.pipeline import DataSet
from data_prep.problems import LeftOut, Problem, Unusable, optional_text, text_of, value_of
from data_prep.sources import Hub

CODE_INSTRUCTION = "Reason step by step, and end with the whole program in one ```python block."
NUMBERS = {"inf": float("inf"), "nan": float("nan")}


def with_code_instruction(question: str) -> str:
    """The user message of a programming task."""
    return f"{question}\n\n{CODE_INSTRUCTION}"


def convert(row: Mapping[str, Any], options: argparse.Namespace) -> Problem:
    """Columns prompt, code, test_list (shown to the model), test (the program that holds all tests), task_id."""
    task, code = text_of(row, "question", "prompt"), text_of(row, "answer", "code")
    shown = "\n".join(str(line) for line in value_of(row, "test_list") or [])
    if not shown:
        raise Unusable("no test to show")
    truth = ground_truth(text_of(row, "test", "test"))
    if options.check and not reference_passes(code, truth):
        raise LeftOut("verl's reward does not accept the reference solution")
    extra = {"origin": "mbpp_plus", "source_id": optional_text(row, "task_id"), "reference": code}
    return Problem(f"{task}\n\nIt must pass these tests:\n\n{shown}", truth, extra)


def ground_truth(program: str) -> str:
    """The tests of a test program in the form that verl scores.

    The program assigns `inputs` and `results` and calls the function as `name(*inp)`. Each input becomes one JSON value
    a line, each result a JSON list of one: against that, verl counts a tuple as the list of the same elements.

    Raises:
        Unusable: it is no Python, or does not look like this.
        LeftOut: JSON cannot hold a test.
    """
    try:
        tree = ast.parse(program)
        found = {
            target.id: ast.literal_eval(_Numbers().visit(node.value))
            for node in ast.walk(tree)
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name) and target.id in ("inputs", "results")
        }
    except (SyntaxError, ValueError) as error:
        raise Unusable("no literal tests in the test program") from error
    names = [node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and _takes_input(node)]
    inputs, results = found.get("inputs"), found.get("results")
    if not names or not inputs or not results or len(inputs) != len(results):
        raise Unusable("no literal tests in the test program")
    try:
        return json.dumps(
            {
                "fn_name": names[0],
                "inputs": ["\n".join(json.dumps(value) for value in arguments) for arguments in inputs],
                "outputs": [json.dumps([result]) for result in results],
            }
        )
    except TypeError as error:
        raise LeftOut("tests that JSON cannot hold") from error


class _Numbers(ast.NodeTransformer):
    """`inf` and `nan` as the numbers that they are."""

    def visit_Name(self, node: ast.Name) -> ast.AST:  # noqa: N802  the name that ast calls
        return ast.Constant(NUMBERS[node.id]) if node.id in NUMBERS else node


def _takes_input(call: ast.Call) -> bool:
    starred = [part.value for part in call.args if isinstance(part, ast.Starred)]
    return isinstance(call.func, ast.Name) and any(isinstance(part, ast.Name) and part.id == "inp" for part in starred)


@lru_cache(maxsize=1024)  # the pipeline converts each row twice
def reference_passes(code: str, truth: str) -> bool:
    """Whether verl's reward gives the full score to this code."""
    from verl.utils.reward_score import default_compute_score  # heavy: imported only when needed

    return default_compute_score(MBPP_PLUS.data_source, f"```python\n{code}\n```", truth) == 1.0


MBPP_PLUS = DataSet(
    module="mbpp_plus",
    data_source="apps",
    hub=Hub("evalplus/mbppplus", splits={"test": "test"}),
    convert=convert,
    extra={name: pa.string() for name in ("origin", "source_id", "reference")},
    ability="code",
    prompt=with_code_instruction,
)


def add_options(parser: argparse.ArgumentParser) -> None:
    """--no-check."""
    parser.add_argument(
        "--no-check", dest="check", action="store_false", help="do not run the reference solutions by verl's reward"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line entry."""
    run(MBPP_PLUS, arguments, __doc__, add_options)


if __name__ == "__main__":
    main()
