"""One HTML page with all tables and figures, which stands alone: no file beside it, nothing from the network."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path

from jinja2 import Environment, StrictUndefined

from verl_dots.evidence.cells import Missing, Table, text_of
from verl_dots.evidence.claims import MET, MISSED, NOT_MEASURED
from verl_dots.files import write_atomically

PAGE_FILE = "index.html"
_KINDS = {".svg": "image/svg+xml", ".png": "image/png"}
_WORDS = {MET: "met", MISSED: "missed", NOT_MEASURED: "missing"}
_TEMPLATE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ title }}</title>
<style>
body { font: 15px/1.5 system-ui, sans-serif; color: #1a1a1a; margin: 2rem auto; max-width: 72rem; padding: 0 1rem; }
h2 { margin-top: 3rem; border-bottom: 1px solid #ccc; }
nav a { margin-right: 1rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .6rem; text-align: right; vertical-align: top; border-bottom: 1px solid #e5e5e5; }
th { border-bottom: 2px solid #888; }
th.text, td.text { text-align: left; }
tr.section td { text-align: left; font-weight: 600; background: #f5f5f5; }
td.missing { color: #767676; }
td.met { color: #05603a; font-weight: 600; }
td.missed { color: #b42318; font-weight: 600; }
.notes { font-size: 13px; color: #444; }
figure { margin: 1.5rem 0; }
figure img { max-width: 100%; height: auto; }
figcaption { font-size: 13px; color: #444; }
dt { font-weight: 600; }
pre { background: #f5f5f5; padding: .6rem; overflow-x: auto; }
@media print { nav { display: none; } figure, table { break-inside: avoid; } }
</style>
</head>
<body>
<h1>{{ title }}</h1>
<nav>{% for table in tables %}<a href="#{{ table.name }}">{{ table.title }}</a> {% endfor -%}
{% if figures %}<a href="#figures">Figures</a> {% endif -%}
{% if not_drawn %}<a href="#not-drawn">Not drawn</a>{% endif %}</nav>
<dl>{% for name, text in facts.items() %}<dt>{{ name }}</dt><dd>{{ text }}</dd>{% endfor %}</dl>
{% if commands %}<pre>{{ commands }}</pre>{% endif %}
{% for table in tables %}
<h2 id="{{ table.name }}">{{ table.title }}</h2>
<div class="scroll"><table>
<thead><tr>
{% for column in table.columns %}<th class="{{ column.kind }}">{{ column.title }}</th>{% endfor %}
</tr></thead>
<tbody>
{% for section in table.sections -%}
{% if section.heading %}<tr class="section"><td colspan="{{ table.columns | length }}">{{ section.heading }}</td></tr>
{% endif -%}
{% for row in section.rows %}<tr>{% for kind, text in row %}<td class="{{ kind }}">{{ text }}</td>{% endfor %}</tr>
{% endfor -%}
{% endfor -%}
</tbody></table></div>
{% if table.notes %}<ul class="notes">{% for note in table.notes %}<li>{{ note }}</li>{% endfor %}</ul>{% endif %}
{% endfor %}
{% if figures %}<h2 id="figures">Figures</h2>{% endif %}
{% for figure in figures %}
<figure><img alt="{{ figure.caption }}" src="{{ figure.source }}"><figcaption>{{ figure.caption }}</figcaption></figure>
{% endfor %}
{% if not_drawn %}<h3 id="not-drawn">Figures that are not drawn</h3>
<ul class="notes">{% for name, why in not_drawn.items() %}<li>{{ name }}: {{ why }}</li>{% endfor %}</ul>{% endif %}
</body>
</html>
"""


def page(
    title: str,
    facts: Mapping[str, str],
    tables: Sequence[Table],
    figures: Sequence[tuple[Path, str]] = (),
    commands: str = "",
    not_drawn: Mapping[str, str] | None = None,
) -> str:
    """The page as HTML.

    Args:
        facts: what the reader is told first: machine, commit, dates.
        tables: in order.
        figures: files with their captions; an SVG beside a PNG of the same name is taken in its place.
        commands: by which all of it is made again.
        not_drawn: figures that are not there, and why.

    Raises:
        ValueError: a figure is neither PNG nor SVG.
    """
    environment = Environment(autoescape=True, undefined=StrictUndefined)
    shown = [{"source": _inlined(file), "caption": caption} for file, caption in figures]
    return environment.from_string(_TEMPLATE).render(
        title=title,
        facts=facts,
        tables=list(map(_plain, tables)),
        figures=shown,
        commands=commands,
        not_drawn=not_drawn or {},
    )


def write_page(file: Path, text: str) -> None:
    """Replace the page whole or not at all."""
    write_atomically(file, lambda partial: partial.write_text(text, encoding="utf-8"))


def _plain(table: Table) -> dict[str, object]:
    """A table in texts, each with the class of its cell."""
    texts = {
        place for place in range(len(table.columns))
        if all(isinstance(row[place], str) for section in table.sections for row in section.rows)
    }  # fmt: skip

    def cell(place: int, value: object) -> tuple[str, str]:
        text = text_of(value, table.columns[place].digits)
        if isinstance(value, Missing):
            return "missing", text
        return _WORDS.get(text, "text" if place in texts else ""), text

    return {
        "name": table.name,
        "title": table.title,
        "columns": [
            {"title": one.title, "kind": "text" if at in texts else ""} for at, one in enumerate(table.columns)
        ],
        "sections": [
            {"heading": one.heading, "rows": [[cell(at, value) for at, value in enumerate(row)] for row in one.rows]}
            for one in table.sections
        ],
        "notes": table.notes,
    }


def _inlined(file: Path) -> str:
    """A figure as a data URL."""
    drawn = file.with_suffix(".svg")
    file = drawn if drawn.exists() else file
    if file.suffix not in _KINDS:
        raise ValueError(f"{file} is no figure for a page; give {' or '.join(_KINDS)}")
    return f"data:{_KINDS[file.suffix]};base64,{base64.b64encode(file.read_bytes()).decode('ascii')}"
