"""The run that the kill test and the soak disturb and watch: a valid one, with all methods that go together."""

import pytest

from scripts.everything import EVERYTHING
from scripts.faults import launch
from scripts.soak import LOOKS
from verl_dots.launch.compose import compose
from verl_dots.launch.start import validate

pytestmark = pytest.mark.usefixtures("cpu_environment")
# Sources and stores of which a run has one, and what holds the entropy as the temperature does.
APART = {"mopps", "preemptive", "entropy_coefficient"}


def test_all_methods_that_go_together_are_on_in_a_run_that_is_accepted(tmp_path):
    from verl_dots.methods.table import METHODS, enabled

    launch.prepare(tmp_path)
    assert {*EVERYTHING} <= {*launch.SMALL}
    for more in ((), LOOKS):
        config = compose(launch.command(tmp_path, tmp_path / "run", 4, more)[3:])
        on = {stage.name for stage in enabled(validate(config), config)}
        assert {stage.name for stage in METHODS} - on == APART
