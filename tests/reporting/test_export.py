"""The comparison as JSON."""

import json

import pytest

from tests.reporting.conftest import DOTS, GRPO, compare
from verl_dots.reporting import export, summary
from verl_dots.reporting.counted_runs import select


def test_json_has_no_nan_and_names_what_does_not_count(write_run):
    folders = [write_run("grpo", 0, GRPO), write_run("grpo", 1, {0: 0.0}, last_step=2, finished=False)]
    chosen = select([*folders, write_run("dots", 0, DOTS, 1.0)])
    comparison = summary.compare(chosen.groups, None, 3, chosen.left_out, chosen.notes)
    data = json.loads(json.dumps(export.to_json(comparison), allow_nan=False))
    assert data["target_accuracy"] == pytest.approx(0.4)  # (0.2 + 0.4 + 0.6) / 3
    (left_out,) = data["left_out"]
    assert left_out == {"path": str(folders[1]), "name": "grpo", "seed": 1, "reason": "not finished (step 2)"}
    assert data["no_saving"] is None and len(data["notes"]) == 1
    grpo, dots = data["methods"]
    assert (grpo["savings"]["steps"], dots["no_saving"]) == (0.0, None)
    assert dots["final"] == {"mean": pytest.approx(0.6), "std": None, "count": 1}
    assert dots["savings"]["steps"] == pytest.approx(1 / 3)
    assert dots["mean_curve"]["step"] == [0, 2, 4, 6]
    assert dots["runs"][0]["versions"] == {"verl": "0.9.1"}
    assert (dots["runs"][0]["unfinished"], dots["runs"][0]["last_step"]) == (None, 6)


def test_a_reason_takes_the_place_of_the_saving(write_run):
    data = export.to_json(compare(write_run("grpo", 0, {6: 0.6}), write_run("dots", 0, DOTS)))
    assert data["no_saving"] == "grpo was validated only once, at step 6"
    assert [method["savings"] for method in data["methods"]] == [None, None]
