"""Evidence from many runs: methods, seeds and combinations of model and data; the papers' tables and figures of it."""
