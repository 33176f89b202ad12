"""Many runs from one matrix file: methods x combinations of model and data x seeds, and what they show.

python -m scripts.reproduce --scale cpu      as scripts/reproduce.sh, which installs first
"""
