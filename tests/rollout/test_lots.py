import pytest

from verl_dots.rollout.lots import PASS_POSITIONS, prompt_lots


@pytest.mark.parametrize(
    ("lengths", "lots"),
    [
        ([], []),
        ([32], [[32]]),
        # Of two prompts the shorter one spares 64 positions, of nine 8 * 16 are as many as a pass costs, of ten more.
        ([96, 32], [[96, 32]]),
        ([32] + [16] * 8, [[32] + [16] * 8]),
        ([16] * 9 + [32], [[32], [16] * 9]),
        # 20 of 80 in place of 96 spare 320 with the others; among them 3 of 48 spare 96.
        ([48] * 3 + [80] * 20 + [96], [[96], [80] * 20 + [48] * 3]),
        ([48] * 5 + [80] * 20 + [96], [[96], [80] * 20, [48] * 5]),
    ],
)
def test_a_further_pass_spares_more_than_it_costs(lengths, lots):
    assert PASS_POSITIONS["cpu"] == 128
    assert prompt_lots(lengths, int, "cpu") == lots


def test_a_device_whose_pass_is_dear_computes_all_at_once():
    assert prompt_lots([16] * 200 + [96], int, "cuda") == [[96] + [16] * 200]


def test_the_order_of_equal_prompts_stays():
    assert prompt_lots(["bb", "a", "cc"], len, "cpu") == [["bb", "cc", "a"]]
