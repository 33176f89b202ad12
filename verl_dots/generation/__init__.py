"""Responses without training, for evaluation and for difficulty labels."""
