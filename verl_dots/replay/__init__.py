"""Rollout replay: groups of earlier steps, kept whole with the log-probs, temperature and step they were sampled with."""
