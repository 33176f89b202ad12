"""`python -m verl_dots.difficulty.collect`: success rates of a model as labels; see verl_dots/labelling/command.py."""

import sys

from verl_dots.guard import guarded

if __name__ == "__main__":
    guarded("collect", "the same command continues where it was")

from verl_dots.labelling.command import main

if __name__ == "__main__":
    sys.exit(main())
