"""verl_dots: data-efficient reinforcement learning for language models, as an extension of verl."""

__version__ = "0.1.0"
