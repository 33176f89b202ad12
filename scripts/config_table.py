"""The table of `dots` settings in verl_dots/conf, from the typed config: `python scripts/config_table.py [--write]`.

Without --write: exit 1 if the README's table is not the one that the config has now.
"""

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from verl_dots.config import DotsConfig  # noqa: E402
from verl_dots.settings import settings_table, shown_default  # noqa: E402

README = ROOT / "verl_dots/conf/README.md"
BEGIN = "<!-- settings: made by scripts/config_table.py --write -->\n"
END = "<!-- end of settings -->\n"


def table() -> str:
    """The table, as markdown."""
    lines = ["| key | default | meaning |", "|---|---|---|"]
    for keys, defaults, text in settings_table(DotsConfig, "dots"):
        first, *more = keys
        names = ", ".join([f"`{first}`", *(f"`.{key.rpartition('.')[2]}`" for key in more)])
        meaning = text.replace("|", r"\|")
        lines.append(f"| {names} | {', '.join(map(shown_default, defaults))} | {meaning} |")
    return "\n".join(lines) + "\n"


def main(arguments: list[str] | None = None) -> int:
    """Write or compare the README's table."""
    parser = argparse.ArgumentParser(
        prog="python scripts/config_table.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--write", action="store_true", help="put the table into the README (default: compare)")
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
