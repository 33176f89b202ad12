"""Skywork-OR1's entropy bonus, whose coefficient follows the policy's entropy (arXiv 2505.22312)."""
