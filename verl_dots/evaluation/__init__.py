"""What `python -m verl_dots.evaluate` is made of.

configure.py    the command line, and the config and settings that it comes to
checkpoints.py  what the argument CHECKPOINT names: a model, a checkpoint of verl's, a run folder
merging.py      verl's shards as one model folder (the only part that imports verl)
data_sets.py    questions and labels of the data files
grading.py      what is kept of a response
storage.py      generations: the journal of an evaluation under way, and the parquet file of a finished one
answers.py      the final answer of a response, and whether two are equal
estimates.py    avg@k, pass@k, maj@k and their intervals: pure functions
summary.py      generations to results
tables.py       results to text
"""
