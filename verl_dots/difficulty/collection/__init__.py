"""Success rates out of rollouts: what `python -m verl_dots.difficulty.collect` is made of."""
