"""How long a run of a test may take: as long as it shows something."""

import sys

import pytest

from tests.launches import attended, environment

SPEAKS = "import time\nfor i in range(8):\n    time.sleep(0.25)\n    print(i)\n"


def test_a_run_may_take_any_time_as_long_as_it_shows_something():
    done = attended([sys.executable, "-c", SPEAKS], environment(), silent=1.0)
    assert done.returncode == 0 and done.stdout.split() == [*"01234567"]


def test_a_silent_run_is_killed_and_its_last_words_are_told():
    script = "import time; print('the last word'); time.sleep(60)"
    with pytest.raises(AssertionError, match="nothing for 0.5 s after: the last word"):
        attended([sys.executable, "-c", script], environment(), silent=0.5)
