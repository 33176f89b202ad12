"""The table of `dots` settings in verl_dots/conf, from the typed config: `python -m scripts.config_table [--write]`.

Without --write: exit 1 if the README's table is not the one that the config has now.
"""

from pathlib import Path

from scripts import sections
from verl_dots.config import DotsConfig
from verl_dots.settings import settings_table, shown_default

README = Path(__file__).parents[1] / "verl_dots/conf/README.md"
SECTION, SCRIPT = "settings", "python -m scripts.config_table"


def table() -> str:
    """The table, as markdown."""
    rows = []
    for keys, defaults, text in settings_table(DotsConfig, "dots"):
        first, *more = keys
        names = ", ".join([f"`{first}`", *(f"`.{key.rpartition('.')[2]}`" for key in more)])
        rows.append((names, ", ".join(map(shown_default, defaults)), text))
    return sections.table(("key", "default", "meaning"), rows)


def main(arguments: list[str] | None = None) -> int:
    """Write or compare the README's table."""
    write = sections.asked_to_write(__doc__, arguments)
    return sections.settle(README, sections.with_section(README, SECTION, SCRIPT, table()), write)


if __name__ == "__main__":
    raise SystemExit(main())
