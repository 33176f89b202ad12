"""Everything that touches verl and Ray: CPU platform, rollout plug-in, agent loop, trainer, entry point.

verl imports `verl_dots.integration.plugin` in every process (environment variable VERL_USE_EXTERNAL_MODULES,
set by `launch.py`); this package itself imports nothing.
"""
