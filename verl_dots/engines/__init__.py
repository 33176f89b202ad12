"""verl's platform, rollout engine and training engine for machines without a GPU."""
