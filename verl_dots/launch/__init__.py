"""From a command line to a running trainer: checks, environment, start."""
