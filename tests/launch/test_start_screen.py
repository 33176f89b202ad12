"""What is said at the start and the end of a run, by its config."""

import pytest

from tests.launches import plain_config
from tests.refusals import changed
from verl_dots.launch.start_screen import run_console

pytestmark = pytest.mark.usefixtures("cpu_environment")


@pytest.mark.parametrize(("mode", "resumes"), [("auto", True), ("disable", False), ("resume_path", False)])
def test_the_same_command_resumes_in_one_mode_alone(mode, resumes):
    assert run_console(changed(plain_config(), [f"trainer.resume_mode={mode}"])).resumes == resumes
