"""The process of one check: `python -m verl_dots.doctor.process CONTEXT NAME RESULT`, started by running.py."""

import sys
from pathlib import Path

from verl_dots.guard import guarded

if __name__ == "__main__":
    guarded("doctor", "this check found nothing")

import json
import logging
from dataclasses import asdict

from verl_dots.doctor.checks import CHECKS
from verl_dots.doctor.context import CheckFailed, Context
from verl_dots.doctor.rows import Row
from verl_dots.files import write_atomically
from verl_dots.processes.environment import prepare_environment


def main(given: str, name: str, found: str) -> None:
    """Run a check, and write its rows."""
    context = Context.load(Path(given))
    logging.basicConfig(level=logging.INFO)
    prepare_environment(context.cpu)  # before a check imports verl
    check = next(check for check in CHECKS if check.name == name)
    try:
        rows = check.run(context)
    except CheckFailed as error:
        rows = [Row(name, str(error), "no error", "fail", error.fix)]
    text = json.dumps([asdict(row) for row in rows])
    write_atomically(Path(found), lambda partial: partial.write_text(text))


if __name__ == "__main__":
    main(*sys.argv[1:])
