"""E3: rollout budgets, a temperature that holds the entropy, a length penalty (arXiv 2505.18573)."""
