"""What `--help` of every command says; that of verl_dots.main is in test_main.py."""

import argparse
from importlib import import_module

import pytest

from tests.launches import ROOT

# Processes that commands start, and two whose help is no parser's.
NO_PARSER = {
    "verl_dots/guard.py", "verl_dots/rewards/worker_pool.py", "data_prep/reference_check.py",
    "verl_dots/processes/warm_workers.py", "verl_dots/processes/forked_worker.py", "verl_dots/doctor/process.py",
    "verl_dots/main.py", "scripts/recipe_difference.py",
}  # fmt: skip
COMMANDS = sorted(
    path
    for folder in ("verl_dots", "data_prep", "scripts")
    for file in (ROOT / folder).rglob("*.py")
    if "__main__" in file.read_text() and (path := str(file.relative_to(ROOT))) not in NO_PARSER
)


class Parsed(BaseException):
    """A command has made its parser, and would parse its arguments now."""


@pytest.mark.parametrize("path", COMMANDS)
def test_every_option_is_described_with_its_default_and_there_is_an_example(path, monkeypatch):
    def stop(parser, *given, **named):
        raise Parsed(parser)

    for name in ("parse_args", "parse_known_args", "parse_intermixed_args"):
        monkeypatch.setattr(argparse.ArgumentParser, name, stop)
    monkeypatch.setattr("sys.argv", [path])
    module = path.removesuffix(".py").removesuffix("/__main__").replace("/", ".")
    with pytest.raises(Parsed) as caught:
        import_module(path.removesuffix(".py").replace("/", ".")).main()
    (parser,) = caught.value.args
    assert "python" in parser.description and (module in parser.description or path in parser.description)
    shell = "bash scripts/reproduce.sh"  # which starts the module
    assert parser.prog in parser.description and parser.prog in (f"python -m {module}", f"python {path}", shell)
    assert parser.description.splitlines()[0].strip().endswith((".", "`.", ":", ","))  # a sentence that says what for
    for action in parser._actions:
        assert action.help, f"{action.option_strings or action.dest} has no help"
        assert "(default: (" not in parser.format_help() and "(default: [" not in parser.format_help()
        pair = isinstance(action.nargs, int) and action.nargs > 1
        assert not pair or isinstance(action.metavar, tuple), f"{action.option_strings}: each value has a name"
        assert not any(set(str(name)) & set(", ") for name in action.choices or ()), action.choices
        silent = action.default in (None, False, True, argparse.SUPPRESS) or action.default in ([], ())
        assert not action.option_strings or silent or "default" in action.help, (
            f"{action.option_strings}: {action.help}"
        )
    assert parser.format_help().count("\n") < 80
