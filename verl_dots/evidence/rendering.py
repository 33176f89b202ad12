"""A `cells.Table` as markdown, LaTeX and CSV. Pure: in comes a table, out comes text."""

from __future__ import annotations

import csv
import io
import itertools
import re
from collections.abc import Iterable, Sequence

from verl_dots.evidence.cells import AT_MOST, Cell, Column, Figure, Missing, Table, text_of
from verl_dots.texts import markdown as padded

NEEDS = r"% needs \usepackage{booktabs} and \usepackage{graphicx}"
# What LaTeX reads as a command, or has no glyph for in text.
_LATEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "[": "{[}",  # else an option of the line break before it
    '"': "''",
    "±": r"$\pm$",
    "–": "--",
    "×": r"$\times$",
}
_NEGATIVE = re.compile(r"(?<![\w.)\]-])-(?=\d)")


def markdown(table: Table) -> str:
    """Title, padded table and notes. A section's heading stands in a row of its own."""
    rows = []
    for section in table.sections:
        if section.heading:
            rows.append([f"**{section.heading}**", *[""] * (len(table.columns) - 1)])
        rows += [_texts(row, table.columns) for row in section.rows]
    grid = padded([column.title for column in table.columns], rows)
    notes = [f"- {note}" for note in table.notes]
    return "\n".join([f"### {table.title}", "", grid, *([""] if notes else []), *notes, ""])


def latex(table: Table) -> str:
    """A `table` environment with booktabs' rules, its caption and the label `tab:NAME`; as wide as the line at most."""
    width = len(table.columns)
    kinds = "".join("r" if _figures(table, place) else "l" for place in range(width))
    lines = [
        NEEDS,
        r"\begin{table}[htbp]",
        r"\centering",
        rf"\caption{{{escaped(table.title)}}}",
        rf"\label{{tab:{table.name}}}",
        r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
        rf"\begin{{tabular}}{{@{{}}{kinds}@{{}}}}",
        r"\toprule",
        *_latex_head(table.columns),
    ]
    for section in table.sections:
        lines.append(r"\midrule")
        if section.heading:
            lines.append(rf"\multicolumn{{{width}}}{{@{{}}l}}{{\emph{{{escaped(section.heading)}}}}} \\")
        lines += [" & ".join(map(escaped, _texts(row, table.columns))) + r" \\" for row in section.rows]
    lines += [r"\bottomrule", r"\end{tabular}}"]
    if table.notes:
        lines += [r"\par\smallskip", r"\begin{minipage}{\linewidth}\footnotesize", r"\raggedright"]
        lines += [escaped(note) + r"\par" for note in table.notes]
        lines.append(r"\end{minipage}")
    return "\n".join([*lines, r"\end{table}", ""])


def document(names: Iterable[str]) -> str:
    """A LaTeX document with the tables NAME.tex beside it."""
    return "\n".join(
        [
            r"\documentclass{article}",
            r"\usepackage[T1]{fontenc}",
            r"\usepackage[utf8]{inputenc}",
            r"\usepackage[margin=2cm]{geometry}",
            r"\usepackage{booktabs}",
            r"\usepackage{graphicx}",
            r"\begin{document}",
            *(rf"\input{{{name}}}\clearpage" for name in names),
            r"\end{document}",
            "",
        ]
    )


CSV_HEAD = ("quantity", "unit", "of", "value", "low", "high", "spread", "seeds", "missing", "remark")


def table_csv(table: Table) -> str:
    """A line for each figure, or missing one, at full precision: section, the row's labels, then `CSV_HEAD`."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    labels = [place for place in range(len(table.columns)) if not _figures(table, place)]
    writer.writerow(["section", *(table.columns[place].heading for place in labels), *CSV_HEAD])
    for section in table.sections:
        for row in section.rows:
            key = [section.heading, *(row[place] for place in labels)]
            for place, (cell, column) in enumerate(zip(row, table.columns, strict=True)):
                if place not in labels:
                    writer.writerow([*key, column.heading, column.unit, column.of, *_values(cell)])
    return out.getvalue()


def escaped(text: str) -> str:
    """Text for LaTeX: special characters as commands, and a minus before a number as one."""
    return _NEGATIVE.sub("$-$", "".join(_LATEX.get(character, character) for character in text))


def _values(cell: Cell) -> list[object]:
    if isinstance(cell, Figure):
        exact = [repr(float(one)) if one is not None else "" for one in (cell.value, cell.low, cell.high, cell.spread)]
        remark = "; ".join(filter(None, (AT_MOST * cell.at_most, cell.remark)))
        return [*exact, "" if cell.seeds is None else cell.seeds, "", remark]
    if isinstance(cell, Missing):
        return [*[""] * 5, cell.why.name.lower(), cell.detail]
    return [*[""] * 6, cell]


def _texts(row: Sequence[Cell], columns: Sequence[Column]) -> list[str]:
    return [text_of(cell, column.digits) for cell, column in zip(row, columns, strict=True)]


def _figures(table: Table, place: int) -> bool:
    """Whether a column holds figures, or what would be some."""
    return any(not isinstance(row[place], str) for section in table.sections for row in section.rows)


def _latex_head(columns: Sequence[Column]) -> list[str]:
    """One line of headings; two where neighbours tell whose a quantity is."""
    if not any(column.of for column in columns):
        return [" & ".join(escaped(column.title) for column in columns) + r" \\"]
    groups = [list(group) for _, group in itertools.groupby(columns, key=lambda one: (one.heading, one.unit))]
    tops, rules, start = [], [], 1
    for group in groups:
        title = escaped(Column(group[0].heading, group[0].unit).title)
        shared = bool(group[0].of)
        tops.append(rf"\multicolumn{{{len(group)}}}{{c}}{{{title}}}" if shared else "")
        if shared:
            rules.append(rf"\cmidrule(lr){{{start}-{start + len(group) - 1}}}")
        start += len(group)
    below = [escaped(column.of) if column.of else escaped(column.title) for column in columns]
    return [" & ".join(tops) + r" \\", " ".join(rules), " & ".join(below) + r" \\"]
