"""From run folders to a comparison."""

import json

import pytest

from verl_dots.reporting import summary
from verl_dots.reporting.runs import RunError, group_by_name, load_run

# grpo, smoothed: 0.0, 0.1, 0.2, 0.4. dots, smoothed: 0.0, 0.2, 0.4, 0.6 (steps 0, 2, 4, 6).
GRPO = {0: 0.0, 2: 0.2, 4: 0.4, 6: 0.6}
DOTS = {0: 0.0, 2: 0.4, 4: 0.8, 6: 0.6}


@pytest.fixture
def comparison(write_run):
    folders = [write_run("dots", 0, DOTS, 1.0, 6), write_run("grpo", 0, GRPO, 2.0, 6)]
    return summary.compare(group_by_name([load_run(folder) for folder in folders]), window=3)


def test_the_baseline_comes_first_and_sets_the_target(comparison):
    assert [method.name for method in comparison.methods] == ["grpo", "dots"]
    assert comparison.baseline == "grpo"
    assert comparison.target == pytest.approx(0.4)  # (0.2 + 0.4 + 0.6) / 3
    assert comparison.is_accuracy and comparison.label == "Validation accuracy"


def test_costs_and_savings(comparison):
    grpo, dots = comparison.methods
    assert grpo.reach.steps == pytest.approx(6.0)
    assert grpo.reach.train_seconds == pytest.approx(22.0)  # 10 + 6 * 2
    assert dots.reach.steps == pytest.approx(4.0)
    assert dots.reach.train_seconds == pytest.approx(14.0)  # 10 + 4 * 1
    assert dots.savings.steps == pytest.approx(1 / 3)
    assert dots.savings.total == pytest.approx(8 / 22)
    assert dots.savings.tokens == pytest.approx(1 / 3)
    assert (dots.seconds_per_step, grpo.seconds_per_step) == (1.0, 2.0)
    assert grpo.wall_seconds == 26.0  # 22 s of training and four validations of 1 s
    assert grpo.seconds_by_part == {"step": 2.0, "gen": 1.0, "testing": pytest.approx(3 / 5)}


def test_seeds_give_mean_and_deviation(write_run):
    folders = [write_run("grpo", seed, {0: 0.1, 2: 0.1 + 0.2 * seed}) for seed in (0, 1)]
    (grpo,) = summary.compare(group_by_name([load_run(folder) for folder in folders]), window=3).methods
    # final: (0.1 + 0.1) / 2 and (0.1 + 0.3) / 2
    assert (grpo.final.mean, grpo.final.count) == (pytest.approx(0.15), 2)
    assert grpo.final.std == pytest.approx(0.05 * 2**0.5)
    assert grpo.gain.mean == pytest.approx(0.05)


def test_choice_of_the_baseline():
    assert summary.choose_baseline(["dots", "grpo"]) == "grpo"
    assert summary.choose_baseline(["dots", "dash"]) == "dots"
    assert summary.choose_baseline(["dots", "grpo"], "dots") == "dots"
    with pytest.raises(RunError, match=r"'gpro'; the runs given are of \['dots', 'grpo'\]. Did you mean 'grpo'\?"):
        summary.choose_baseline(["dots", "grpo"], "gpro")


def test_runs_validated_on_different_data_are_refused(write_run):
    folders = [write_run("grpo", 0, GRPO), write_run("dots", 0, DOTS, key="val-core/math/acc/mean@1")]
    with pytest.raises(RunError, match="validated on .*arithmetic.* but .*math.*--metric"):
        summary.compare(group_by_name([load_run(folder) for folder in folders]), window=3)


def test_json_has_no_nan(comparison):
    data = json.loads(json.dumps(summary.to_json(comparison), allow_nan=False))
    assert data["target_accuracy"] == pytest.approx(0.4)
    dots = data["methods"][1]
    assert dots["final"] == {"mean": pytest.approx(0.6), "std": None, "count": 1}
    assert dots["savings"]["steps"] == pytest.approx(1 / 3)
    assert dots["mean_curve"]["step"] == [0, 2, 4, 6]
    assert dots["runs"][0]["versions"] == {"verl": "0.9.1"}
