"""The table of `dots` settings in verl_dots/conf, from the typed config: `python scripts/config_table.py [--write]`.

Without --write: exit 1 if the README's table is not the one that the config has now.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from scripts.sections import asked_to_write, settle, with_section  # noqa: E402
from verl_dots.config import DotsConfig  # noqa: E402
from verl_dots.settings import settings_table, shown_default  # noqa: E402

README = ROOT / "verl_dots/conf/README.md"
SECTION, SCRIPT = "settings", "scripts/config_table.py"


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
    write = asked_to_write(__doc__, arguments)
    return settle(README, with_section(README, SECTION, SCRIPT, table()), write)


if __name__ == "__main__":
    raise SystemExit(main())
