"""MBPP+ (EvalPlus): short Python functions with many tests each, for training and evaluation of code.

    python -m data_prep.mbpp_plus --out data/mbpp_plus.parquet

verl's own code reward scores them: data_source is "apps", whose ground truth is JSON {"fn_name", "inputs", "outputs"}.
A response that passes all tests gets 1, any other 0. (Not for verl's sandbox: it compares what a program prints with
that JSON, and refuses lists and text that are right.) Of the 378 functions those are left out that this cannot score,
each reason with its count:

    tests that do not ask for equality    some compare as sets, ask whether a result is None, or allow two results
    tests that JSON cannot hold           it knows neither sets nor keys that are tuples
    reference solutions that fail         each is run by verl's reward, under two seeds of Python's hashes; --no-check
                                          keeps these. That executes the data set's code on this machine

What stays differs from EvalPlus in two ways. It compares floats with a tolerance and verl exactly, so a right program
that rounds differently gets 0. And where a list is asked for, verl takes the same list within another for right.
"""

import argparse
import ast
import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from data_prep.command import run
from data_prep.pipeline import DataSet
from data_prep.problems import LeftOut, Problem, Unusable, optional_text, text_of, value_of
from data_prep.reference_check import accepted
from data_prep.sources import Hub

CODE_INSTRUCTION = "Reason step by step, and end with the whole program in one ```python block."
NUMBERS = {"inf": float("inf"), "nan": float("nan")}


def with_code_instruction(question: str) -> str:
    """The user message of a programming task."""
    return f"{question}\n\n{CODE_INSTRUCTION}"


def convert(row: Mapping[str, Any], options: argparse.Namespace) -> Problem:
    """Columns prompt, code, test_list (shown to the model), test (the program that holds all tests), task_id."""
    task, code = text_of(row, "question", "prompt"), text_of(row, "answer", "code")
    tests = value_of(row, "test_list")
    tests = [] if tests is None or tests != tests else [tests] if isinstance(tests, str) else tests
    shown = text_of({"tests": "\n".join(map(str, tests))}, "test to show", "tests")
    truth = ground_truth(text_of(row, "test", "test"))
    if options.check:
        check_reference(code, truth)
    extra = {"origin": "mbpp_plus", "source_id": optional_text(row, "task_id"), "reference": code}
    return Problem(f"{task}\n\nIt must pass these tests:\n\n{shown}", truth, extra)


def ground_truth(program: str) -> str:
    """The tests of a test program in the form that verl scores.

    The program assigns `inputs` and `results` and calls the function as `name(*inp)`. Each input becomes one JSON value
    a line, each result what `_expected` makes of it.

    Raises:
        Unusable: it is no Python, or does not look like this.
        LeftOut: it does not ask for equality, or JSON cannot hold a test.
    """
    try:
        tree = ast.parse(program)
        if not _asks_for_equality(tree):
            raise LeftOut("tests that do not ask for equality")
        found = {
            target.id: ast.literal_eval(_Numbers().visit(node.value))
            for node in ast.walk(tree)
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name) and target.id in ("inputs", "results")
        }
    except (SyntaxError, ValueError, TypeError) as error:
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
                "outputs": [json.dumps(_expected(result)) for result in results],
            }
        )
    except TypeError as error:
        raise LeftOut("tests that JSON cannot hold") from error


def _asks_for_equality(tree: ast.AST) -> bool:
    """Whether the program's `assertion(out, exp, atol)`, if it has one, is `out == exp`, but for a tolerance."""
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef) and function.name == "assertion":
            names = [argument.arg for argument in function.args.args]
            if len(names) != 3 or any(_is_no_equality(node, names[:2]) for node in ast.walk(function)):
                return False
    return True


def _is_no_equality(node: ast.AST, compared: Sequence[str]) -> bool:
    """A set, `is`, `or`, or another value under the name of one that is compared."""
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Name) and node.func.id in ("set", "sorted")
    if isinstance(node, ast.Name):
        return isinstance(node.ctx, ast.Store) and node.id in compared
    return isinstance(node, ast.Is | ast.IsNot | ast.Or)


def _expected(result: Any) -> Any:
    """What verl must find: a list or tuple within a list, since verl also takes the first element of what it is given
    for right, and a tuple of tuples only there. All else as it is.
    """
    return [result] if isinstance(result, list | tuple) and result else result


class _Numbers(ast.NodeTransformer):
    """`inf` and `nan` as the numbers that they are."""

    def visit_Name(self, node: ast.Name) -> ast.AST:  # noqa: N802  the name that ast calls
        return ast.Constant(NUMBERS[node.id]) if node.id in NUMBERS else node


def _takes_input(call: ast.Call) -> bool:
    starred = [part.value for part in call.args if isinstance(part, ast.Starred)]
    return isinstance(call.func, ast.Name) and any(isinstance(part, ast.Name) and part.id == "inp" for part in starred)


def check_reference(code: str, truth: str) -> None:
    """Raise LeftOut if verl's reward does not give the full score to this code."""
    passes = _passes(code, truth)
    if not any(passes):
        raise LeftOut("verl's reward does not accept the reference solution")
    if not all(passes):
        raise LeftOut("the reference solution depends on the seed of Python's hashes")


@lru_cache(maxsize=1024)  # the pipeline converts each row twice
def _passes(code: str, truth: str) -> tuple[bool, ...]:
    return accepted(MBPP_PLUS.data_source, f"```python\n{code}\n```", truth)


MBPP_PLUS = DataSet(
    module="mbpp_plus",
    data_source="apps",
    hub=Hub("evalplus/mbppplus", splits={"test": "test"}),
    convert=convert,
    extra=("origin", "source_id", "reference"),
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
