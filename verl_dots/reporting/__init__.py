"""Reports on finished or running training runs.

    runs.py      run folders -> `Run` records with one table of rows each
    measures.py  curves, smoothing, first reach of an accuracy, savings, seconds by part
    summary.py   runs -> one `MethodSummary` a method, compared with a baseline
    tables.py    summaries -> markdown
    figures.py   summaries and runs -> matplotlib figures, in the look of drawing.py

Loading is apart from rendering. Nothing here imports torch, ray or verl; `python -m
verl_dots.report` is the command line.
"""
