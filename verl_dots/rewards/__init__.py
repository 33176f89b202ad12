"""Reward functions: exact match for arithmetic and the ladder, equality of values for mathematics.

Scores:

    compute.py                `compute_score`, the function verl calls; picks a scorer by data source
    by_verl.py                verl's own functions, for every other data source
    exact.py                  the text after the last `####`, compared as a string
    mathematics.py            mathematical equality under a hard time limit
    worker_pool.py            worker processes that are killed when an answer takes too long
    limits.py                 what a reward may be, and the time and memory of one
    neutral.py                ground truths that lose right responses, found before a run; problems.py: their kinds

Two answers, read and compared inside a worker process:

    grading.py                the final answer of a response beside the ground truth

Reading:

    final_answer.py           the text of the answer in a response; plain_formula.py: where it has no delimiters
    latex_text.py             one way to write what LaTeX writes in many; latex_symbols.py: by symbol
    font_text.py              fonts and marks; code_text.py: Python's ways; unit_text.py: units in one line
    answer_reading.py         text to lists, relations, values, which answers.py defines
    bracket_text.py           brackets, and splitting outside them
    list_text.py              texts of several values; matrix_text.py: of matrices and systems of equations
    relation_text.py          sides of relations, and the signs between them
    tail_text.py              conditions and moduli behind an answer
    value_reading.py          text to one value
    number_reading.py         numbers: separators, powers of ten, bases, clocks
    amount_text.py            amounts in several units, such as hours and minutes
    units.py                  units behind numbers; unit_sizes.py: what they are worth in one another
    word_text.py              words, told apart from variables
    expressions.py            a value's text to a tree; expression_tokens.py, expression_tree.py: what it is made of
    expression_values.py      what a tree is worth; expression_operations.py: on two values

Comparing:

    comparing.py              equality, within what tolerance.py says
    comparing_collections.py  equality of lists and sets; names_of_members.py: where names tell which is which
    intervals.py              sets of real numbers, as the pieces of pieces.py
    relations.py              what a relation says
    angles.py                 degrees where the ground truth is in radians
    by_math_verify.py         equality of sums, integrals and the like

Importing this package imports none of them.
"""
