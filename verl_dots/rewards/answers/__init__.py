"""What an answer can be, and what it means.

kinds.py       a value, words, a collection, a relation and so on
relations.py   what a relation says
intervals.py   sets of real numbers
pieces.py      pieces of the real line, which these are made of
"""
