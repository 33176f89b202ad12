"""A step's driver under synthetic rollouts: what it takes and holds; `scripts.bench_driver` is the command."""
