"""Which text of a response is its answer, and one way to write what answers write in many.

final_answer.py    the last box of a response, or what stands behind "the answer is"
plain_formula.py   the last formula of a text without delimiters
latex.py           `clean`: a text in the one way in which it is read; by
    symbols.py         Unicode, and commands that mean the same
    fonts.py           fonts and marks
    code.py            Python's and calculators' ways
    digit_groups.py    groups of digits that LaTeX parts
    units_in_line.py   units in fractions, in brackets, with powers
"""
