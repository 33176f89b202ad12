"""What can be wrong with a ground truth: kinds, as `compute.answer_problem` names them and `check` counts them."""

UNREADABLE = "unreadable answer"
"""Nothing in it can be parsed or matched: no response scores."""
FRAGILE = "fragile answer"
"""Right responses may score 0: it is graded wrong against a neutral rewrite, or compared as text or code alone."""
PROSE = "prose answer"
"""A sentence or an explanation, not a value; only a response with the same words scores."""
KINDS = (UNREADABLE, FRAGILE, PROSE)
