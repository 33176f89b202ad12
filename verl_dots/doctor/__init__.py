"""Everything that a first run needs, found out in minutes: `python -m verl_dots.doctor`."""
