"""Labels for the predictor of difficulty: how often a model answers each question right.

command        the command line of `python -m verl_dots.difficulty.collect`
from_model     the questions rolled out now
from_logs      out of the rollouts that a training run has kept, which rollout_logs reads
success_rates  rewards to success rates; the progress file and the label file
"""
