"""Tables of the recipes' README, from recipes/paper_settings.yaml: `python -m scripts.paper_settings [--write]`.

Without --write: exit 1 if the README's are not the ones that the file gives now.
"""

from pathlib import Path
from typing import Any

import yaml

from scripts import sections

RECIPES = Path(__file__).parents[1] / "recipes"
FILE, README = RECIPES / "paper_settings.yaml", RECIPES / "README.md"
SECTION, SCRIPT = "papers", "python -m scripts.paper_settings"
NONE = "–"
# A setting: {value, where}, {ours, why}, or all four.
Setting = dict[str, Any]


def papers() -> dict[str, dict[str, Any]]:
    """What the file says of each paper, by its folder of recipes."""
    return {folder: paper for folder, paper in yaml.safe_load(FILE.read_text()).items() if folder != "columns"}


def of_script(paper: dict[str, Any], script: str) -> dict[str, Any]:
    """Settings of one script, by key of the config."""
    keys = yaml.safe_load(FILE.read_text())["columns"]
    columns, row = paper["scripts"]["columns"], paper["scripts"]["rows"][script]
    return {keys[column]: value for column, value in zip(columns, row["settings"], strict=True)}


def ours(setting: Setting) -> Any:
    """The value that is set here."""
    return setting["ours"] if "ours" in setting else setting["value"]


def tables() -> str:
    """Tables of each paper, as markdown: its recipes, where it has some, with what they report, and its settings."""
    return "\n".join(_paper(folder, paper) for folder, paper in papers().items())


def _paper(folder: str, paper: dict[str, Any]) -> str:
    scripts = paper.get("scripts")
    rows = (
        []
        if scripts is None
        else [
            [
                f"`{folder}/{name}.sh`",
                *map(_shown, row["settings"]),
                *(str(result or NONE) for result in row["results"]),
            ]
            for name, row in scripts["rows"].items()
        ]
    )
    settings = [
        [f"`{key}`", of, _shown(setting.get("value", NONE)), *_differs(setting)]
        for of, group in _groups(paper)
        for key, setting in group.items()
    ]
    recipes = (
        []
        if scripts is None
        else [
            f"The paper reports {scripts['reports']} ({scripts['where']}).\n",
            sections.table(["recipe", *scripts["columns"], *scripts["results"]], rows),
        ]
    )
    return "\n".join(
        [
            f"### {paper['title']} (arXiv {paper['paper']})\n",
            *recipes,
            sections.table(["setting", "of", "paper", "where", "ours"], settings),
        ]
    )


def _groups(paper: dict[str, Any]) -> list[tuple[str, dict[str, Setting]]]:
    presets = [(f"preset `{name}`", group) for name, group in paper["presets"].items()]
    methods = [(f"method `{name}`", group) for name, group in paper.get("methods", {}).items()]
    return [*presets, *([("all recipes", paper["recipes"])] if "recipes" in paper else []), *methods]


def _differs(setting: Setting) -> tuple[str, str]:
    own = f"{_shown(setting['ours'])}: {setting['why']}" if "ours" in setting else ""
    return setting.get("where", NONE), own


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_shown, value))
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)


def main(arguments: list[str] | None = None) -> int:
    """Write or compare the README's tables."""
    write = sections.asked_to_write(__doc__, arguments)
    return sections.settle(README, sections.with_section(README, SECTION, SCRIPT, tables()), write)


if __name__ == "__main__":
    raise SystemExit(main())
