"""Tests of functions in the form that verl scores, and which functions that form cannot score."""

import json
import os
import resource
import signal
import subprocess
import sys
from argparse import Namespace
from functools import cache
from pathlib import Path
from subprocess import PIPE

import pytest

from data_prep import mbpp_plus, reference_check
from data_prep.problems import LeftOut, Unusable
from data_prep.reference_check import HASH_SEEDS
from tests.data_files import write
from tests.data_prep.script_runs import raw_file, refusal, rows_of
from tests.launches import ROOT, environment
from verl_dots.data.provenance import read_provenance
from verl_dots.rewards.compute import compute_score

# What EvalPlus compares by, put briefly.
HEAD = "def assertion(out, exp, atol):\n"
EQUAL = (
    f"{HEAD}    same = out == exp\n    if not same and atol != 0:\n        assert np.allclose(out, exp, atol=atol)\n"
    "    else:\n        assert same\n"
)
AS_SETS = f"{HEAD}    out = set(out)\n    exp = set(exp)\n    assert out == exp\n"
NOT_NONE = f"{HEAD}    same = out == exp if isinstance(out, bool) else exp == (out is not None)\n"
EITHER = "def assertion(out, exp_0, exp_1, atol):\n    assert out == exp_0 or out == exp_1\n"


def program(name, inputs, results, assertion=EQUAL):
    return (
        f"import numpy as np\nfrom math import inf\n\ndef is_floats(x) -> bool:\n    return isinstance(x, float)\n\n"
        f"{assertion}\ninputs = {inputs}\nresults = {results}\n"
        f"for i, (inp, exp) in enumerate(zip(inputs, results)):\n    assertion({name}(*inp), exp, 0)\n"
    )


def task(number, code, inputs, results, assertion=EQUAL):
    name = code.removeprefix("def ").partition("(")[0]
    return {
        "task_id": number,
        "code": code,
        "prompt": f"Write the function of task {number}.",
        "source_file": "x.ipynb",
        "test_imports": [],
        "test_list": [f"assert {name} is right"],
        "test": program(name, inputs, results, assertion),
    }


SIMILAR = task(
    2,
    "def similar(a, b):\n    return tuple(sorted(set(a) & set(b)))",
    "[[(3, 4, 5, 6), (5, 7, 4, 10)], [[], []], [[-1, inf], [inf]]]",
    "[(4, 5), (), (inf,)]",
)
LENGTH = task(3, "def length(a):\n    return len(a)", "[['abcde'], [[]]]", "[5, 0]")
# JSON turns the tuple into a list, which has no hash.
HASHED = task(4, "def hashed(a, b):\n    return len({a, b})", "[[(1, 2), (3,)]]", "[2]")
SETS = task(5, "def sets(a):\n    return set(a)", "[[[4, 5]]]", "[{4, 5}]")
COMPARED_AS_SETS = task(6, "def shared(a, b):\n    return tuple(set(a) & set(b))", "[[[1], [1]]]", "[(1,)]", AS_SETS)
# Right in this process, whatever its seed, and in no other.
SEEDED = task(7, "def seeded(a):\n    return hash(a)", "[['a text']]", [hash("a text")])


def outcome(row, code):
    return compute_score(row["data_source"], f"```python\n{code}\n```", row["reward_model"]["ground_truth"])["score"]


def test_code_is_scored_by_verls_own_reward(tmp_path, monkeypatch):
    monkeypatch.setenv("SOME_API_KEY", "secret")
    other_seed = os.environ | {"PYTHONHASHSEED": str(HASH_SEEDS[1])}
    hashed = subprocess.check_output([sys.executable, "-c", "print(hash('a text'))"], env=other_seed, text=True)
    lucky = task(8, "def lucky(a):\n    return hash(a)", "[['a text']]", [int(hashed)])
    raw = [SIMILAR, LENGTH, HASHED, SETS, COMPARED_AS_SETS, SEEDED, lucky]
    source, out = write(tmp_path / "raw.parquet", raw), tmp_path / "out.parquet"
    mbpp_plus.main(["--source", str(source), "--out", str(out)])
    counts = read_provenance(out)["counts"]
    assert {name: count for name, count in counts.items() if name.startswith("left out: ")} == {
        "left out: tests that JSON cannot hold": 1,
        "left out: tests that do not ask for equality": 1,
        "left out: verl's reward does not accept the reference solution": 2,
        "left out: the reference solution depends on the seed of Python's hashes": 1,
    }
    similar, length = rows_of(out)
    assert similar["data_source"] == "apps" and similar["extra_info"]["origin"] == "mbpp_plus"
    assert json.loads(similar["reward_model"]["ground_truth"]) == {
        "fn_name": "similar",
        "inputs": ["[3, 4, 5, 6]\n[5, 7, 4, 10]", "[]\n[]", "[-1, Infinity]\n[Infinity]"],
        "outputs": ["[[4, 5]]", "[]", "[[Infinity]]"],
    }
    assert outcome(similar, SIMILAR["code"]) == 1.0
    assert outcome(similar, "def similar(a, b):\n    return ()") == 0.0  # right for one of the three tests
    assert outcome(length, LENGTH["code"]) == 1.0
    assert outcome(length, "def length(a):\n    return [len(a)]") == 0.0
    for checker in reference_check._checkers():
        assert b"SOME_API_KEY" not in Path(f"/proc/{checker.pid}/environ").read_bytes()
        assert resource.prlimit(checker.pid, resource.RLIMIT_DATA)[0] == 4 * 2**30


def test_a_program_that_never_ends_is_not_accepted_and_the_next_one_is_asked_of_new_processes(monkeypatch):
    """Processes that answer nothing, as a program that takes all of a checker's time would have it."""
    begun = []

    @cache
    def checkers():
        silent = [
            subprocess.Popen(["sleep", "600"], stdin=PIPE, stdout=PIPE, text=True, start_new_session=True)
            for _ in HASH_SEEDS
        ]
        begun.extend(silent)
        return tuple(silent)

    monkeypatch.setattr(reference_check, "_checkers", checkers)
    monkeypatch.setattr(reference_check, "ANSWER_SECONDS", 0.2)
    for number in (1, 2):
        assert reference_check.accepted("apps", "while True: pass", "{}") == (False, False)
        assert len(begun) == 2 * number and all(process.wait(10) == -signal.SIGKILL for process in begun)


def test_programs_have_limits_and_no_secrets():
    told = (
        "import os, resource\nfrom data_prep import reference_check as check\ncheck._limit()\n"
        "limits = [resource.getrlimit(kind)[0] for kind in (resource.RLIMIT_DATA, resource.RLIMIT_FSIZE)]\n"
        "assert limits == [check.MEMORY_GIBIBYTES * 2**30, check.FILE_BYTES], limits\n"
        "try:\n    bytearray(5 * 2**30)\nexcept MemoryError:\n    pass\nelse:\n    raise SystemExit('no limit')\n"
    )
    subprocess.run([sys.executable, "-c", told], check=True, env=environment(), cwd=ROOT, timeout=120)


@pytest.mark.parametrize("assertion", [AS_SETS, NOT_NONE, EITHER])
def test_tests_that_ask_for_something_else_than_equality_are_left_out(assertion):
    with pytest.raises(LeftOut, match="do not ask for equality"):
        mbpp_plus.ground_truth(program("f", "[[1]]", "[1]", assertion))


def test_results_stay_what_they_are():
    truth = json.loads(mbpp_plus.ground_truth(program("f", "[[1], [2], [3], [4]]", "[5, 'ab', [5], {'a': 1}]")))
    assert truth["outputs"] == ["5", '"ab"', "[[5]]", '{"a": 1}']


@pytest.mark.parametrize("text", ["inputs = [", "inputs = [[{[1]: 2}]]\nresults = [1]\nf(*inp)", "results = [1]"])
def test_programs_without_tests_are_damage(text):
    with pytest.raises(Unusable, match="no literal tests"):
        mbpp_plus.ground_truth(text)


def test_tests_to_show_are_a_list_or_one_text():
    options = Namespace(check=False)
    shown = [mbpp_plus.convert(LENGTH | {"test_list": each}, options).question for each in (["a", "b"], "a b")]
    assert [text.partition("tests:\n\n")[2] for text in shown] == ["a\nb", "a b"]
    for nothing in ([], None, float("nan"), ""):
        with pytest.raises(Unusable, match="no test to show"):
            mbpp_plus.convert(LENGTH | {"test_list": nothing}, options)


def test_a_source_of_another_form_names_the_row(tmp_path, capsys):
    source, out = raw_file(tmp_path / "raw.jsonl", [LENGTH | {"test_list": 5}]), tmp_path / "out.parquet"
    error = refusal(capsys, mbpp_plus.main, "--source", source, "--out", out, "--no-check")
    assert "row 0 of the source: 'int' object is not iterable" in error
