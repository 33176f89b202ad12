"""What can be wrong with a ground truth: kinds, as `compute.answer_problem` names them and `check` counts them."""

UNREADABLE = "unreadable answer"
"""Nothing in it can be parsed or matched: no response scores."""
FRAGILE = "fragile answer"
"""It is graded wrong against a neutral rewrite of itself, so right responses may score 0."""
PROSE = "prose answer"
"""A sentence or an explanation, not a value; only a response with the same words scores."""
KINDS = (UNREADABLE, FRAGILE, PROSE)
