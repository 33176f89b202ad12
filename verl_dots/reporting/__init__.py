"""Reports on finished or running training runs.

Loading:

    rows.py               metrics.jsonl -> rows; damaged lines are skipped and named
    trackers.py           what verl's own trackers have kept -> rows; wandb_csv.py: those of a .csv
    costs.py              totals of these, of verl's metrics
    configs.py            config.yaml -> settings, and where they differ; run_info.py: run.json
    runs.py               run folders -> `Run` records with one table of rows each

Comparing:

    counted_runs.py       which runs count: unfinished, shorter and repeated ones are left out by name
    validation_curves.py  smoothing, first reach of an accuracy, savings
    metric_means.py       means of what is logged, seconds by phase
    fairness.py           what makes runs or methods hard to compare, in sentences
    validated_steps.py    at which steps methods are compared
    obstacles.py          why a saving cannot be told
    summary.py            runs -> one `MethodSummary` a method, compared with a baseline, as records of comparison.py

Rendering:

    tables.py             summaries -> markdown tables; document.py: the report around them; export.py: JSON
    figures.py            summaries and runs -> matplotlib figures, of lines.py, in the look of drawing.py

Nothing here imports torch, ray or verl; `python -m verl_dots.report` is the command line.
"""
