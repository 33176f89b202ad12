import csv
import io

import numpy as np
import pytest
from rich.console import Console

from verl_dots.config import DotsConfig
from verl_dots.simulation import figures, results
from verl_dots.simulation.run import Setting, Trace


def trace(accuracy, **changes):
    steps = len(accuracy)
    same = np.full(steps, 0.5)
    columns = {
        "effective": same, "reward": same, "signal": same, "rollouts": np.arange(1, steps + 1) * 10.0, "coverage": same,
        "replayed": same * 0, "stopped": same * 0, "saved": same * 0, "lost": same * 0, "age": same * np.nan,
        "ability": same, "temperature": same,
    }  # fmt: skip
    return Trace(accuracy=np.array(accuracy), **columns | changes)


def setting(label="dots K=8", **values):
    return Setting(label, values, DotsConfig(), 8, 8)


SLOW, FAST = trace([0.2, 0.3, 0.4, 0.5]), trace([0.3, 0.5, 0.6, 0.7], rollouts=np.array([30.0, 35, 40, 45]))


def test_the_first_step_with_a_target_counts():
    assert results.reached(SLOW, 0.4) == (3, 30) and results.reached(SLOW, 0.2) == (1, 10)
    assert np.isnan(results.reached(SLOW, 0.6)).all()


def test_savings_are_relative_to_uniform_sampling():
    found = results.figures(FAST, SLOW, [])
    # uniform ends at 0.5 after 4 steps and 40 rollouts; this one is there after 2 and 35
    assert found["steps saved to uniform's end"] == 0.5
    assert found["rollouts saved to uniform's end"] == pytest.approx(0.125)
    named = results.figures(FAST, SLOW, [0.6, 0.3])
    assert named["steps to 60 %"] == 3 and np.isnan(named["steps saved to 60 %"])
    assert named["steps to 30 %"] == 1 and named["steps saved to 30 %"] == 0.5


def test_csv_and_table_have_a_row_for_each_setting(tmp_path):
    base = results.summarise(Setting("uniform", {}, DotsConfig(), 8, 8), [SLOW, SLOW], [SLOW, SLOW], [])
    other = results.summarise(
        setting(policy="dots", **{"dots.selection.references": "8"}), [FAST, FAST], [SLOW] * 2, []
    )
    results.write_csv(tmp_path / "a.csv", [base, other])
    rows = list(csv.DictReader((tmp_path / "a.csv").open()))
    assert [row["policy"] for row in rows] == ["uniform", "dots"]
    assert rows[1]["dots.selection.references"] == "8" and rows[1]["seeds"] == "2"
    assert float(rows[1]["steps saved to uniform's end"]) == 0.5 and rows[1]["age"] == ""
    assert (rows[1]["accuracy low"], rows[1]["accuracy high"]) == ("0.7", "0.7")
    text = io.StringIO()
    Console(width=200, file=text).print(results.table([base, other]))
    header, first, second = text.getvalue().splitlines()
    assert "references" in header and "steps saved %" in header
    assert first.split()[0] == "uniform" and "50.0 ± 0.0" in second and "–" in second


def test_of_a_target_that_not_all_seeds_come_to_there_is_a_bound_and_no_mean(tmp_path):
    """FAST saves 2 of 4 steps, 5 of 40 rollouts. The other costs all 4 steps and 20 rollouts."""
    never = trace([0.2, 0.3, 0.4, 0.4], rollouts=np.array([5.0, 10, 15, 20]))
    found = results.summarise(setting(policy="dots"), [FAST, never], [SLOW, SLOW], [])
    for name in ("steps to", "rollouts to", "steps saved to", "rollouts saved to"):
        one = found.figures[f"{name} uniform's end"]
        assert np.isnan([one.mean, one.low, one.high]).all() and (one.count, one.seeds) == (1, 2)
    bounds = [found.figures[f"at most {what} saved to uniform's end"] for what in ("steps", "rollouts")]
    assert [(one.mean, one.count) for one in bounds] == [(0.25, 2), (pytest.approx((0.125 + 0.5) / 2), 2)]
    assert found.figures["accuracy"].mean == pytest.approx(0.55)
    base = results.summarise(setting("uniform"), [SLOW, SLOW], [SLOW, SLOW], [])
    results.write_csv(tmp_path / "a.csv", [base, found])
    rows = list(csv.DictReader((tmp_path / "a.csv").open()))
    assert [row["steps to uniform's end"] for row in rows] == ["4", ""]
    assert [row["seeds that come to uniform's end"] for row in rows] == ["2", "1"]
    text = io.StringIO()
    Console(width=300, file=text).print(results.table([base, found]))
    # 50 and 0: the deviation of their mean is 25, t of one degree of freedom 12.7062
    assert "not reached (1 of 2)" in text.getvalue() and "at most 25.0 ± 317.7 (1 of 2)" in text.getvalue()
    assert results.all_come([base]) and not results.all_come([base, found])


def test_of_a_target_that_uniform_sampling_never_has_no_saving_is_known():
    found = results.summarise(setting(), [FAST, FAST], [SLOW, SLOW], [0.6])
    assert found.figures["steps to 60 %"].mean == 3
    assert np.isnan(found.figures["at most steps saved to 60 %"].mean)


def test_a_measured_target_that_one_run_never_has_has_no_mean():
    base = results.summarise(setting("uniform"), [SLOW], [SLOW], [0.5])
    logs = [
        type("Log", (), {"name": "dots", "accuracy": {0: 0.4, 4: last}, "effective_S": np.array([0.5])})
        for last in (0.6, 0.45)
    ]
    (found,) = results.measured(logs, base, [0.5])
    steps = found.figures["steps to 50 %"]
    assert np.isnan(steps.mean) and (steps.count, steps.seeds) == (1, 2)
    assert found.figures["accuracy"].mean == pytest.approx(0.525)


def test_a_measured_target_is_reached_between_two_validations():
    base = results.summarise(setting("uniform"), [SLOW], [SLOW], [0.5])
    log = type("Log", (), {
        "name": "dots", "accuracy": {0: 0.4, 4: 0.6}, "effective_S": np.array([0.5, np.nan, 0.7]),
    })  # fmt: skip
    (found,) = results.measured([log], base, [0.5])
    # halfway from 0 to 4
    assert found.figures["steps to 50 %"].mean == 2 and found.figures["effective"].mean == pytest.approx(0.6)
    assert np.isnan(found.figures["rollouts"].mean) and found.label == "measured dots"


@pytest.mark.parametrize(("first", "steps"), [(0, 0.0), (10, np.nan)])
def test_when_a_target_was_reached_before_the_first_validation_is_known_at_step_0_alone(first, steps):
    base = results.summarise(setting("uniform"), [SLOW], [SLOW], [0.6])
    log = type("Log", (), {"name": "dots", "accuracy": {first: 0.7, 20: 0.8}, "effective_S": np.array([0.5])})
    (found,) = results.measured([log], base, [0.6])
    assert found.figures["steps to 60 %"].mean == pytest.approx(steps, nan_ok=True)


def test_figures_show_every_setting_and_a_sweep_where_there_is_an_axis(tmp_path):
    base = results.summarise(setting("uniform"), [SLOW], [SLOW], [])
    swept = [
        results.summarise(setting(f"K={k}", policy="dots", **{"K": k}), [FAST, FAST], [SLOW, SLOW], [])
        for k in ("8", "64", "512")
    ]
    drawn = figures.curves([base, *swept])
    assert [len(panel.lines) for panel in drawn.axes] == [4, 4, 4]
    sweep = figures.sweep([base, *swept])
    assert sweep.axes[0].lines[0].get_xdata().tolist() == [8, 64, 512] and sweep.axes[0].get_xscale() == "log"
    assert figures.sweep([base, *swept[:1]]) is None


def test_stops_are_shown_where_there_are_any():
    """False stops are a share of all stops of the run: 0.1 + 0.2 of 0.2 + 0.4."""
    some = trace([0.3, 0.5], stopped=np.array([0.2, 0.4]), saved=np.array([0.1, 0.2]), lost=np.array([0.1, 0.2]))
    found = results.figures(some, trace([0.2, 0.3]), [])
    assert (found["stopped"], found["spared"], found["false stops"]) == pytest.approx((0.3, 0.15, 0.5))
    none = results.summarise(setting(), [SLOW], [SLOW], [])
    assert np.isnan(results.figures(SLOW, SLOW, [])["false stops"])
    shown = results.summarise(setting(), [some], [trace([0.2, 0.3])], [])
    names = [[column.header for column in results.table(of).columns] for of in ([none], [none, shown])]
    assert "stopped %" not in names[0] and {"stopped %", "false stops %"} <= set(names[1])
