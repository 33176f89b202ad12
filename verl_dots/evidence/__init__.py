"""Evidence from many runs: methods, seeds and combinations of model and data; the papers' tables and figures of it.

Evidence:

    records.py     what everything is made from: a table of steps and one of runs
    read.py        run folders -> evidence; saved.py: evidence <-> small CSV files; merging.py: two as one
    extra_figures.py   figures that are measured apart from runs; evaluations.py: results in the checkpoints of runs
    agreement.py   whether two machines computed the same

Measures:

    measures.py    the columns of the two tables of measures; measuring.py and summarise.py make them
    curves.py      validation curves, smoothed; step_time.py: seconds of a step, within rounds
    over_seeds.py  means and intervals; over_rounds.py: those of times of a step; against.py: to another method
    totals.py      savings of time, held against seconds counted anew; sittings.py: which timing runs are a pair
    methods.py     order, names and marks of the methods; combinations.py: what was run on
    claims.py      targets, held against the measures

Tables:

    papers.py      the papers' figures, of papers.yaml, as records
    tables.py      the papers' tables with ours beside them; overview.py: all methods in one; per_seed.py: every run
    shares.py      savings until 50, 75 and 90 % of the gain; parts.py: seconds of a step by part
    ours.py        our figure for a column: of summary_cells.py, of evaluations, or from rows
    cells.py       tables of typed cells; rendering.py: as markdown, LaTeX and CSV

    results.py     claims, tables and figures as files; page.py: one page of them all

`python -m verl_dots.evidence` is the command line.
"""
