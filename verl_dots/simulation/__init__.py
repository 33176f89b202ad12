"""What selection, budgets, temperature and replay would do on a pool of questions, simulated without a model.

What is simulated:

    settings.py      presets, overrides and a grid, checked as a run checks them
    difficulties.py  measured success rates out of files
    run_logs.py      what the logs of real runs tell; fit.py: the parameters of learning out of them

The model of learning:

    pool.py          latent difficulties of questions
    response.py      how a policy answers, and how it learns
    prediction.py    predicted difficulties: what features tell, and what references tell of the features
    validation.py    the accuracy that a validation set shows

A step, by the methods' own rules:

    run.py           the steps of one setting with one seed
    sources.py       which questions are rolled out; selection.py: those of DOTS
    replay.py        a buffer of groups without tokens
    stopping.py      groups in two parts

What came of it:

    results.py       figures of each run, relative to uniform sampling
    intervals.py     the same over seeds
    figures.py       drawn
"""
