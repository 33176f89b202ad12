"""What a training run shows: a screen at its start, a line a step, errors once. All else is in the run's log file."""
