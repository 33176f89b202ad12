"""The training loop: the trainer, what a run leaves behind, and how it resumes."""
