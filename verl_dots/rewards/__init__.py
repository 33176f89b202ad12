"""Reward functions: exact match for arithmetic and the ladder, equality of values for mathematics.

    compute.py       `compute_score`, the function verl calls; picks a scorer by data source
    by_verl.py       verl's own functions, for every other data source
    exact.py         the text after the last `####`, compared as a string
    mathematics.py   mathematical equality under a hard time limit
    worker_pool.py   worker processes that are killed when an answer takes too long
    limits.py        what a reward may be, and the time and memory of one
    neutral.py       ground truths that lose right responses, found before a run; problems.py: their kinds
    grading.py       the final answer of a response beside the ground truth, inside a worker process

Each room below imports the ones above it at most:

    expressions/     values: parsed, and computed
    units/           units, and what they are worth
    answers/         what an answer can be
    text/            the answer's text in a response, in one way of writing
    reading/         the text to an answer
    comparing/       two answers

Importing this package imports none of them.
"""
