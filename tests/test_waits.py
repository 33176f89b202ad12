"""Every wait of the package, the data sets and the scripts has a limit, or a reason that is told here."""

import ast
from pathlib import Path

import pytest

from tests.source import parsed

ROOT = Path(__file__).parents[1]
FILES = sorted(
    file for name in ("verl_dots", "data_prep", "scripts", "recipes") for file in (ROOT / name).rglob("*.py")
)
# Methods and functions that wait, and how many plain arguments they have with a limit among them.
METHODS = {"join": 1, "wait": 1, "communicate": 2, "result": 1, "recv": 2, "acquire": 2}
FUNCTIONS = {
    "ray.get", "ray.wait", "subprocess.run", "subprocess.check_output", "subprocess.check_call", "subprocess.call",
    "urllib.request.urlopen", "httpx.AsyncClient", "httpx.Client", "httpx.get", "httpx.post", "requests.get",
    "socket.create_connection",
}  # fmt: skip
# file -> waits without a limit of their own, and what ends them.
ENDED_OTHERWISE = {
    "data_prep/chat.py": {"self._pace.wait": "sleeps until the next request's turn"},
    "scripts/faults/campaign.py": {"found.survivors.wait": "has a limit of its own"},
    "scripts/mutate_stages.py": {"receiver.recv": "polled before"},
    "scripts/reproduce/__main__.py": {"subprocess.run": "the command itself, in the foreground, after its runs"},
    "verl_dots/bridge/trainer/patient_trainer.py": {"ray.get": "within a wait of `Patience`"},
    "verl_dots/data/checks.py": {"future.result": "asks the grader, each of whose calls has a limit"},
    "verl_dots/doctor/context.py": {"subprocess.run": "makes 64 questions, before any check"},
    "verl_dots/doctor/life.py": {"subprocess.run": "within a check, whose process has a limit"},
    "verl_dots/doctor/launching.py": {"process.wait": "within a check, whose process has a limit"},
    "verl_dots/processes/forked_worker.py": {"connection.recv": "the socket has a timeout"},
    "verl_dots/engines/many_requests.py": {"task.result": "of a task that has ended"},
    "verl_dots/processes/warm_workers.py": {"connection.recv": "the socket has a timeout"},
    "verl_dots/guard.py": {"_Guard(name, resumes, child, reading).wait": "for the work itself; signals end it"},
    "verl_dots/rewards/limits.py": {"task.result": "of a task that has ended"},
    "verl_dots/rewards/worker_pool.py": {
        "future.result": "of a call that has ended", "pool.join": "for processes that pebble has killed",
    },
}  # fmt: skip


def waits(source: str) -> list[str]:
    """Calls that may wait for ever, as they are written, without their arguments."""
    found = []
    for node in ast.walk(parsed(source)):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        name, limited = ast.unparse(node.func), any(word.arg in ("timeout", None) for word in node.keywords)
        of_text = isinstance(node.func.value, ast.Constant) or name.startswith(("os.path.", "shlex.", "asyncio."))
        method = METHODS.get(node.func.attr)
        if limited or of_text:
            continue
        if name in FUNCTIONS or (method is not None and len(node.args) < method and not _joins_text(node)):
            found.append(name)
    return found


def _joins_text(call: ast.Call) -> bool:
    return call.func.attr == "join" and bool(call.args)


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("thread.join()", ["thread.join"]),
        ("thread.join(5); process.wait(timeout=3); ', '.join(names); os.path.join(a, b)", []),
        ("ray.get(one); ray.get(one, timeout=3)", ["ray.get"]),
        ("subprocess.run(words, **more); subprocess.run(words)", ["subprocess.run"]),
        ("future.result(); future.result(3); await asyncio.wait(tasks)", ["future.result"]),
    ],
)
def test_waits_are_told_from_what_has_their_names(source, found):
    assert waits(source) == found


def test_every_wait_has_a_limit():
    found = {str(file.relative_to(ROOT)): sorted(set(waits(file.read_text()))) for file in FILES}
    assert {name: calls for name, calls in found.items() if calls} == {
        name: sorted(calls) for name, calls in ENDED_OTHERWISE.items()
    }
