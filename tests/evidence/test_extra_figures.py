"""Figures that are measured apart from runs: kept with them, and checked when they are read."""

import json

import pytest

from tests.evidence import made
from tests.refusals import refused
from verl_dots.evidence import saved
from verl_dots.evidence.cells import Figure
from verl_dots.evidence.extra_figures import load_extra, save_extra
from verl_dots.evidence.merging import merged
from verl_dots.evidence.records import Evidence

KEY = ("cpu", "dots", "rho_off_the_shelf")
EXTRA = {KEY: Figure(0.77215, 0.7602, 0.7839), ("cpu", "dots_rr", "rho_off_the_shelf"): Figure(0.5)}


def test_figures_come_back_with_their_intervals_at_four_digits(tmp_path):
    save_extra(EXTRA, tmp_path / "extra.json")
    assert load_extra(tmp_path / "extra.json") == EXTRA | {KEY: Figure(0.7722, 0.7602, 0.7839)}


@pytest.mark.parametrize("wrong", [
    {}, {"value": "0.5"}, {"value": True}, {"value": float("nan")}, {"low": 0.1}, {"method": 1}, {"more": 1},
])  # fmt: skip
def test_another_file_is_refused(tmp_path, wrong):
    row = dict(zip(("combination", "method", "measure"), KEY, strict=True)) | {"value": 0.5, "low": None, "high": None}
    (file := tmp_path / "extra.json").write_text(json.dumps([row | wrong if wrong else [1]]))
    with refused(str(file), "damaged", "does not hold what save_extra writes"):
        load_extra(file)


def test_they_are_kept_with_the_runs_and_when_others_are_added(tmp_path):
    first, second = (made.evidence({("cpu", "dots", seed): {0: 0.1, 10: 0.2}}) for seed in (1, 2))
    kept = Evidence(first.steps, first.runs, extra=EXTRA | {KEY: Figure(0.7722)})
    saved.save(kept, tmp_path)
    assert saved.load(tmp_path).extra == kept.extra == merged(kept, second).extra == merged(second, kept).extra
    saved.save(second, tmp_path)
    assert not (tmp_path / "extra.json").exists()
