"""Values with operations, letters and functions: parsed to trees, and computed.

parser.py       a text to a tree
tokens.py       what the text is made of
tree.py         what the tree is made of
values.py       what a tree is worth, at fixed points for its variables
operations.py   what an operation on values comes to
"""
