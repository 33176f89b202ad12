"""Rows of the TransferQueue on the driver: read, written, kept between steps, ordered and computed with.

rows.py          a batch as verl hands it over: its fields, its tags, what the workers get
row_tags.py      the key of a row, and what its tags say
pinned.py        entries of what workers get, held whatever verl puts there

questions.py     the questions of verl's train data set
prompts.py       the prompts of a step, their random numbers, and the rest of groups that have begun
looks.py         when the trainer looks for rollouts
arrivals.py      groups that are there; evictions.py: those that verl's replay buffer takes out
stored_rows.py   groups kept between steps

balance.py       the order of rows, for mini-batches and equal work
lean.py          large batches through verl's computations on the driver
advantages.py    advantages that follow from the rewards alone
temperatures.py  each row's own temperature in verl's passes
"""
