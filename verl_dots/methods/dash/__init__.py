"""DASH: preemptive sampling and the gradient filter (arXiv 2505.17218)."""
