"""The figures of the evidence: what is drawn and how it looks in print. `write.write_figures` writes them all.

write.py        all figures, and their files
training.py     what is drawn over training, by curves.py and panels.py; seeds.py: means and ranges
savings.py      what each method saves
budget.py       rollouts of a question over training
calibration.py  predicted against measured difficulty
pass_at.py      pass@k
marks.py        which methods share a figure, and where markers stand
style.py        sizes, looks, and files whose bytes repeat
"""
