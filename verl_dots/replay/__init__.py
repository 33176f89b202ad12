"""Rollout replay: groups of earlier steps, with the log-probs, temperature and step that they were sampled with."""
