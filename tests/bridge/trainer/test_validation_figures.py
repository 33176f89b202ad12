"""What a reward returns beside the score: figures of numbers, and no end of the validation for anything else."""

from decimal import Decimal

import numpy as np
import pytest
import torch
from verl.trainer.ppo.metric_utils import process_validation_metrics

from verl_dots.bridge.trainer.validation_figures import countable

SOURCES = ["a", "a", "b", "b"]
MIXED = {
    "lists": [["a"], ["b"], ["c", "d"], []],
    "dicts": [{"a": 1}] * 4,
    "a number and a text": [0.5, "right", 1.0, 0],
    "a text and a number": ["right", 0.5, None, None],
    "bytes": [b"1"] * 4,
    "too large": [10**400, 1, 1, 1],
}


@pytest.mark.parametrize("values", MIXED.values(), ids=MIXED)
def test_what_has_no_mean_is_left_out_where_verl_would_end(values, caplog):
    infos = {"reward": [1.0, 0.0, 1.0, 1.0], "parsed": values, "pred": values}
    figures = process_validation_metrics(SOURCES, ["1", "1", "2", "2"], countable(SOURCES, infos))
    assert figures["a"]["reward"]["mean@2"] == 0.5 and figures["b"]["reward"]["mean@2"] == 1.0
    assert "parsed" not in figures["a"]
    assert "parsed, pred" in caplog.text


def test_one_source_has_its_figure_whatever_another_returns(caplog):
    found = countable(SOURCES, {"parsed": ["yes", "no", 1, 0], "wrong": [1, 2, ["x"], 3]})
    assert found == {"parsed": ["yes", "no", 1.0, 0.0], "wrong": [1.0, 2.0, None, None]}
    assert "wrong" in caplog.text and "parsed" not in caplog.text


def test_numbers_of_any_type_are_counted_alike(caplog):
    """verl's own deviation of decimals, or of tensors and numbers together, is an error."""
    values = [Decimal("0.5"), torch.tensor(1.5), np.float32(0.5), True]
    found = countable(SOURCES, {"acc": values, "format": [None, 1, None, None]})
    assert found == {"acc": [0.5, 1.5, 0.5, 1.0], "format": [None, 1.0, None, None]}
    figures = process_validation_metrics(SOURCES, ["1", "1", "2", "2"], found)
    assert figures["a"]["acc"]["mean@2"] == 1.0 and figures["a"]["acc"]["std@2"] == 0.5
    assert figures["a"]["format"] == {"mean@1": 1.0}
    assert not caplog.records


def test_text_votes_as_before():
    """Of two rollouts that answer 7 both, the vote is 7 whichever is drawn: its accuracy is that of the first, 1."""
    infos = {"acc": [1.0, 1.0, 0.0, 0.0], "pred": ["7", "7", "1", "2"]}
    kept = countable(SOURCES, infos)
    assert kept == infos
    uids = ["1", "1", "2", "2"]
    assert process_validation_metrics(SOURCES, uids, kept) == process_validation_metrics(SOURCES, uids, infos)
    assert process_validation_metrics(SOURCES, uids, kept)["a"]["acc"]["maj@2/mean"] == 1.0
