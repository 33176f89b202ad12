import numpy as np
import pytest

from verl_dots.methods.replay.sampling import fresh_count


@pytest.mark.parametrize("delta, fresh", [(1.0, 8), (0.5, 4), (0.55, 4), (0.1, 1)])
def test_fresh_share(delta, fresh):
    assert fresh_count(8, delta) == fresh


@pytest.mark.parametrize("delta", [0.0, -0.5, 1.01, np.nan, 0.01])
def test_bad_fresh_share(delta):
    with pytest.raises(ValueError, match="delta="):
        fresh_count(8, delta)
