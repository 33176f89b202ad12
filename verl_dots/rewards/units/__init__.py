"""Units: told apart from variables, and what they are worth.

behind_numbers.py   a value and the unit behind it
sizes.py            what units are worth in one another
"""
