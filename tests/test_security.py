"""Nothing that a stranger could hand over is executed: what the code calls, read from the source."""

import ast
from pathlib import Path

import pytest

from tests.source import parsed

ROOT = Path(__file__).parents[1]
FILES = sorted(
    file for name in ("verl_dots", "data_prep", "scripts", "recipes") for file in (ROOT / name).rglob("*.py")
)
# Calls by their last two names: they execute what they are given, or read a form that does.
EXECUTING = {
    "eval", "exec", "compile", "__import__", "pickle.load", "pickle.loads", "pickle.Unpickler", "cloudpickle.load",
    "cloudpickle.loads", "dill.load", "dill.loads", "joblib.load", "marshal.load", "marshal.loads", "shelve.open",
    "pandas.read_pickle", "pd.read_pickle", "os.system", "os.popen", "yaml.load", "yaml.unsafe_load", "yaml.full_load",
    "hub.load", "jit.load",
}  # fmt: skip
# file -> what it calls, and why that is no stranger's.
OWN = {
    "verl_dots/engines/many_requests.py": {"pickle.loads": "what this process has pickled itself a moment before"},
    "verl_dots/reporting/configs.py": {"yaml.load": "with a safe loader, of C where there is one"},
    "scripts/mutate_stages.py": {"exec": "a module of this checkout", "compile": "a module of this checkout"},
}


def executing(source: str) -> set[str]:
    """Calls that may execute what they are given."""
    found = set()
    for node in ast.walk(parsed(source)):
        if not isinstance(node, ast.Call):
            continue
        name = ".".join(ast.unparse(node.func).split(".")[-2:])
        words = {word.arg: ast.unparse(word.value) for word in node.keywords}
        if name in EXECUTING:
            found.add(name)
        if name == "torch.load" and words.get("weights_only") != "True":
            found.add("torch.load without weights_only=True")
        if words.get("allow_pickle", "False") != "False":
            found.add(f"{name} with allow_pickle")
        if words.get("shell", "False") != "False":
            found.add(f"{name} with shell")
        if words.get("trust_remote_code") == "True":
            found.add(f"{name} with trust_remote_code=True")
    return found


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("eval(text); model.eval(); re.compile(text)", {"eval"}),
        ("pickle.loads(a); pickle.dumps(b)", {"pickle.loads"}),
        ("torch.load(a); torch.load(a, weights_only=False)", {"torch.load without weights_only=True"}),
        ("torch.load(a, weights_only=True); np.load(a); subprocess.run(words)", set()),
        ("np.load(a, allow_pickle=True)", {"np.load with allow_pickle"}),
        ("subprocess.run(text, shell=True)", {"subprocess.run with shell"}),
        ("Model.load(a, trust_remote_code=True)", {"Model.load with trust_remote_code=True"}),
    ],
)  # fmt: skip
def test_calls_that_execute_are_told_from_others(source, found):
    assert executing(source) == found


def test_no_code_executes_what_it_is_given():
    found = {str(file.relative_to(ROOT)): executing(file.read_text()) for file in FILES}
    assert {name: calls for name, calls in found.items() if calls} == {name: set(calls) for name, calls in OWN.items()}
