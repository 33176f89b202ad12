"""verl's platform and rollout engine for machines without a GPU."""
