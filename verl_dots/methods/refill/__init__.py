"""Refill: groups that teach nothing give way to other questions (dynamic sampling, arXiv 2503.14476)."""
