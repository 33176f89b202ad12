"""What a clean text says: an answer of `answers.kinds`.

answer.py       `read`: lists, names, relations, brackets, each taken apart
value.py        one value
numbers.py      numbers: separators, powers of ten, bases, clocks
amounts.py      amounts in several units, such as hours and minutes
word_forms.py   words, told apart from variables
brackets.py     brackets, and splitting outside them
lists.py        texts of several values
matrices.py     matrices and systems of equations
sides.py        sides of relations, and the signs between them
tails.py        conditions and moduli behind an answer
"""
