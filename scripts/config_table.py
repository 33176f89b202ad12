"""The table of `dots` settings in verl_dots/conf, from the typed config: `python scripts/config_table.py [--write]`.

Without --write: exit 1 if the README's table is not the one that the config has now.
"""

import argparse
import inspect
import re
import sys
from collections.abc import Iterator
from dataclasses import MISSING, Field, fields, is_dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from verl_dots.config import DotsConfig  # noqa: E402

README = ROOT / "verl_dots/conf/README.md"
BEGIN = "<!-- settings: made by scripts/config_table.py --write -->\n"
END = "<!-- end of settings -->\n"
ATTRIBUTE = re.compile(r"^    (?P<names>\w+(, \w+)*): (?P<text>.*)$")


def descriptions(kind: type) -> dict[tuple[str, ...], str]:
    """What a settings class says of its attributes: names that are described together, and the text."""
    found: dict[tuple[str, ...], str] = {}
    names: tuple[str, ...] = ()
    lines = inspect.cleandoc(kind.__doc__ or "").splitlines()
    for line in lines[lines.index("Attributes:") + 1 :] if "Attributes:" in lines else []:
        if match := ATTRIBUTE.match(line):
            names = tuple(match["names"].split(", "))
            found[names] = match["text"]
        elif names and line.startswith("     "):
            found[names] += f" {line.strip()}"
        else:
            names = ()
    return found


def rows(kind: type = DotsConfig, prefix: str = "dots") -> Iterator[tuple[str, str, str]]:
    """(keys, defaults, meaning) of every setting, in the order of the classes.

    Raises:
        ValueError: a setting that its class does not describe.
    """
    known = {field.name: field for field in fields(kind)}
    told = descriptions(kind)
    if missing := set(known) - {name for names in told for name in names}:
        raise ValueError(f"{kind.__name__} does not describe {sorted(missing)}")
    for names, text in told.items():
        groups = [known[name].default_factory for name in names if is_dataclass(known[name].default_factory)]
        for group in groups:
            yield from rows(group, f"{prefix}.{names[0]}")
        if not groups:
            keys = ", ".join([f"`{prefix}.{names[0]}`", *(f"`.{name}`" for name in names[1:])])
            yield keys, ", ".join(_default(known[name]) for name in names), text


def table() -> str:
    """The table, as markdown."""
    cells = [(keys, default, text.replace("|", r"\|")) for keys, default, text in rows()]
    lines = [f"| {keys} | {default} | {text} |" for keys, default, text in cells]
    return "\n".join(["| key | default | meaning |", "|---|---|---|", *lines]) + "\n"


def _default(field: Field) -> str:
    value = field.default if field.default is not MISSING else field.default_factory()
    if value is None:
        return "null"
    return str(list(value)) if isinstance(value, tuple) else str(value) or '""'


def main(arguments: list[str] | None = None) -> int:
    """Write or compare the README's table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="put the table into the README")
    options = parser.parse_args(arguments)
    text = README.read_text()
    before, _, rest = text.partition(BEGIN)
    _, found, after = rest.partition(END)
    if not found:
        sys.exit(f"{README} has no place for the table: it must hold the lines {BEGIN.strip()} and {END.strip()}")
    made = f"{before}{BEGIN}{table()}{END}{after}"
    if options.write:
        README.write_text(made)
        return 0
    print(table(), end="")
    return int(made != text)


if __name__ == "__main__":
    raise SystemExit(main())
