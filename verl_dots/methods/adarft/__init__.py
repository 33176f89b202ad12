"""AdaRFT: a target difficulty that follows the reward (arXiv 2504.05520)."""
