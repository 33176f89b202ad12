"""Rollout replay and GRPO-RR, the loss that corrects for it (arXiv 2506.05316, section 4)."""
