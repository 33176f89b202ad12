"""Runs that are killed at random moments, and compared with one that was not; `scripts.fault_test` is the command."""
