"""Whether an answer equals the ground truth.

equality.py         of two answers, by what they are
collections.py      of lists, tuples and sets
members.py          where names or units tell which member is which
tolerance.py        how far two numbers may be apart
angles.py           degrees where the ground truth is in radians
by_math_verify.py   of sums, integrals and the like
"""
