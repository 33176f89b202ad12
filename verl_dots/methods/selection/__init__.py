"""DOTS: questions of predicted adaptive difficulty near a target (arXiv 2506.05316)."""
