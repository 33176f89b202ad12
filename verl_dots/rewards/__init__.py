"""Reward functions: exact match for the arithmetic testbed, equality of values for mathematics.

    compute.py      `compute_score`, the function verl calls; picks a scorer by data source
    by_verl.py      verl's own functions, for every other data source
    exact.py        the text after the last `####`, compared as a string
    mathematics.py  mathematical equality under a hard time limit
    grading.py      reading and comparing two answers (runs inside a worker process); names the modules it is made of
    neutral.py      ground truths that lose right responses, found before a run
    problems.py     the kinds of them
    worker_pool.py  worker processes that are killed when an answer takes too long

Importing this package imports none of them.
"""
