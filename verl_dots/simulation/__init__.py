"""What selection, budgets, temperature and replay would do on a pool of questions, simulated without a model."""
