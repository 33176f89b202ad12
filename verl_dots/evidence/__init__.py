"""Evidence from many runs: methods, seeds and combinations of model and data; the papers' tables and figures of it.

    records.py     what everything is made from: a table of steps and one of runs
    read.py        run folders -> evidence; saved.py: evidence <-> small CSV files, checked
    curves.py      validation curves, smoothed; step_time.py: seconds of a step, within rounds
    extra_figures.py   figures that are measured apart from runs
    measures.py    the columns of the two tables of measures; measuring.py and summarise.py make them
    over_seeds.py  means and intervals; over_rounds.py: those of times of a step; against.py: to another method
    methods.py     order, names and marks of the methods
    papers.yaml    the papers' figures; papers.py: as records
    tables.py      the papers' tables with ours beside them; overview.py: all methods in one
    shares.py      savings until 50, 75 and 90 % of the gain; parts.py: seconds of a step by part
    ours.py        our figure for a column: of summary_cells.py, of evaluations.py, or from rows
    cells.py       tables of typed cells; rendering.py: as markdown, LaTeX and CSV; combinations.py: what was run on

`python -m verl_dots.evidence` is the command line.
"""
