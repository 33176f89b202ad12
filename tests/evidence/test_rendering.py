"""A small table as text, to the letter; LaTeX that compiles; cells that say why they are empty."""

import csv
import io
import re
import shutil
import subprocess

import pytest

from tests.evidence.latex import unbalanced
from verl_dots.evidence import rendering
from verl_dots.evidence.cells import Column, Figure, Missing, Section, Table, Why, text_of

COLUMNS = (
    Column("method"),
    Column("steps saved", "%", "paper"),
    Column("steps saved", "%", "ours", digits=1),
)
SMALL = Table(
    "small",
    "Steps & time_saved",
    COLUMNS,
    (
        Section("On 100 % of #1", (("A|B", Figure(16.67, spread=0.5), Missing(Why.NOT_RUN)),)),
        Section("", (("~C", Missing(Why.NO_ROW), Figure(-3.24, -9.04, 1.0, seeds=3, remark="saves nothing")),)),
    ),
    ("In {braces}.",),
)


def test_markdown():
    assert (
        rendering.markdown(SMALL)
        == r"""### Steps & time_saved

| method             | steps saved, paper (%) |            steps saved, ours (%) |
| :----------------- | ---------------------: | -------------------------------: |
| **On 100 % of #1** |                        |                                  |
| A\|B               |           16.67 ± 0.50 |                          not run |
| ~C                 |                      – | -3.2 [-9.0, 1.0] (saves nothing) |

- In {braces}.
"""
    )


def test_latex():
    assert (
        rendering.latex(SMALL)
        == r"""% needs \usepackage{booktabs} and \usepackage{graphicx}
\begin{table}[htbp]
\centering
\caption{Steps \& time\_saved}
\label{tab:small}
\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%
\begin{tabular}{@{}lrr@{}}
\toprule
 & \multicolumn{2}{c}{steps saved (\%)} \\
\cmidrule(lr){2-3}
method & paper & ours \\
\midrule
\multicolumn{3}{@{}l}{\emph{On 100 \% of \#1}} \\
A\textbar{}B & 16.67 $\pm$ 0.50 & not run \\
\midrule
\textasciitilde{}C & -- & $-$3.2 {[}$-$9.0, 1.0] (saves nothing) \\
\bottomrule
\end{tabular}}
\par\smallskip
\begin{minipage}{\linewidth}\footnotesize
\raggedright
In \{braces\}.\par
\end{minipage}
\end{table}
"""
    )


def test_csv_has_a_line_for_each_figure_at_full_precision():
    assert (
        rendering.table_csv(SMALL)
        == """section,method,quantity,unit,of,value,low,high,spread,seeds,missing,remark
On 100 % of #1,A|B,steps saved,%,paper,16.67,,,0.5,,,
On 100 % of #1,A|B,steps saved,%,ours,,,,,,not_run,
,~C,steps saved,%,paper,,,,,,no_row,
,~C,steps saved,%,ours,-3.24,-9.04,1.0,,3,,saves nothing
"""
    )


def test_csv_keeps_every_digit_and_commas_in_labels():
    third = 1 / 3
    table = Table("t", "t", (Column("method"), Column("rho")), (Section("a, b", (("c, d", Figure(third)),)),))
    (line,) = csv.DictReader(io.StringIO(rendering.table_csv(table)))
    assert float(line["value"]) == third
    assert (line["section"], line["method"]) == ("a, b", "c, d")
    bound = Table("t", "t", (Column("saved"),), (Section("", ((Figure(0.5, remark="1 of 2 seeds", at_most=True),),)),))
    (line,) = csv.DictReader(io.StringIO(rendering.table_csv(bound)))
    assert (line["value"], line["remark"]) == ("0.5", "at most; 1 of 2 seeds")


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (Figure(16.666), "16.67"),
        (Figure(-0.001), "0.00"),
        (Figure(0.7843, spread=0.0243), "0.78 ± 0.02"),
        (Figure(5.0, -2.0, 12.0, remark="unclear"), "5.00 [-2.00, 12.00] (unclear)"),
        (Missing(Why.NOT_REACHED, "2 of 3 seeds"), "not reached (2 of 3 seeds)"),
        (Figure(8.12, 3.0, 13.25, remark="2 of 3 seeds", at_most=True), "at most 8.12 [3.00, 13.25] (2 of 3 seeds)"),
        (Missing(Why.NOT_MEASURED), "not measured"),
        (Missing(Why.NOT_RECORDED), "not recorded"),
        (Missing(Why.NOT_GIVEN), "not given"),
        ("baseline", "baseline"),
    ],
)
def test_a_cell_as_text(cell, text):
    assert text_of(cell, 2) == text


@pytest.mark.parametrize("given", [{"value": float("nan")}, {"value": 1.0, "low": float("inf"), "high": 2.0}])
def test_a_figure_is_finite(given):
    with pytest.raises(ValueError, match="give a Missing that says why"):
        Figure(**given)


def test_an_interval_has_two_ends():
    with pytest.raises(ValueError, match="give both or none"):
        Figure(1.0, low=0.5)


def test_a_row_is_as_long_as_the_columns():
    with pytest.raises(ValueError, match="small: a row has 1 cells for 3 columns"):
        Table("small", "", COLUMNS, (Section("", (("only",),)),))


def test_a_table_without_pairs_has_one_line_of_headings():
    table = Table("t", "t", (Column("method"), Column("time", "s")), (Section("", (("a", Figure(1.0)),)),))
    head = rendering.latex(table).partition(r"\toprule")[2].partition(r"\midrule")[0]
    assert head == "\nmethod & time (s) \\\\\n"


@pytest.mark.parametrize(
    ("text", "latex"),
    [
        (r"a\b", r"a\textbackslash{}b"),
        ("50 % & $3 #1 a_b {c}", r"50 \% \& \$3 \#1 a\_b \{c\}"),
        ("x^2 ~ <y> |z|", r"x\textasciicircum{}2 \textasciitilde{} \textless{}y\textgreater{} \textbar{}z\textbar{}"),
        ("Qwen2.5-7B, 3-5, -4.5 and (-1)", "Qwen2.5-7B, 3-5, $-$4.5 and ($-$1)"),
        ("– ± ×", r"-- $\pm$ $\times$"),
    ],
)
def test_escaping(text, latex):
    assert rendering.escaped(text) == latex


def test_latex_is_well_formed_whatever_the_labels():
    worst = 'all of it: \\ & % $ # _ { } ~ ^ < > | " [ ] ± – × -1'
    table = Table(
        "worst", worst, (Column(worst), Column(worst, worst, "paper"), Column(worst, worst, "ours")),
        (Section(worst, ((worst, Figure(-1.0, -2.0, 0.5, remark=worst), Missing(Why.NOT_REACHED, worst)),)),), (worst,),
    )  # fmt: skip
    assert unbalanced(rendering.latex(table)) == ""


@pytest.mark.parametrize("broken", ["a_b", "a & b", "{", "}", "$", r"\end{center}"])
def test_the_check_of_latex_sees_what_is_broken(broken):
    assert unbalanced(rendering.latex(SMALL).replace("not run", broken))


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex")
def test_latex_compiles(tmp_path):
    (tmp_path / "small.tex").write_text(rendering.latex(SMALL))
    (tmp_path / "tables.tex").write_text(rendering.document(["small"]))
    subprocess.run(["pdflatex", "-halt-on-error", "tables.tex"], cwd=tmp_path, check=True, capture_output=True)


def test_the_document_has_all_tables():
    text = rendering.document(["one", "two"])
    assert re.findall(r"\\input\{(\w+)\}", text) == ["one", "two"]
    assert text.startswith(r"\documentclass") and text.endswith("\\end{document}\n")
