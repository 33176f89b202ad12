"""Labels for the predictor of difficulty: how often a model answers each question right.

command.py        the command line of `python -m verl_dots.difficulty.collect`
from_model.py     the questions rolled out now
from_logs.py      out of the rollouts that a training run has kept, as rollout_logs.py reads them
success_rates.py  rewards to success rates; the progress file and the label file
"""
