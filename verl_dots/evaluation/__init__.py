"""What `python -m verl_dots.evaluate` is made of.

configure     the command line, and the config and settings that it comes to
checkpoints   what the argument CHECKPOINT names: a model, a checkpoint of verl's, a run folder
merging       verl's shards as one model folder (the only part that imports verl)
data_sets     questions and labels of the data files
grading       what is kept of a response
storage       generations: the journal of an evaluation under way, and the parquet file of a finished one
answers       the final answer of a response, and whether two are equal
estimates     avg@k, pass@k, maj@k and their intervals: pure functions
summary       generations to results
tables        results to text
"""
