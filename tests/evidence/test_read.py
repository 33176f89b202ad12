import json
import math
import shutil

import pytest

from tests.refusals import refused
from tests.reporting.conftest import ACCURACY, write_run  # noqa: F401  a fixture
from verl_dots.evidence import saved
from verl_dots.evidence.read import METRICS, read_evidence
from verl_dots.evidence.records import RUN_COLUMNS, RUN_KEY, STEP_COLUMNS, fingerprint

FINALS = {0: 0.1, 4: 0.5}


@pytest.fixture
def root(tmp_path, write_run):  # noqa: F811
    """Writes runs below `root`, the folder of combinations; `where` is "a" or "a/time"."""
    (base := tmp_path / "root").mkdir()

    def written(where, name, seed, accuracies=FINALS, **more):
        (base / where).mkdir(parents=True, exist_ok=True)
        write_run(name, seed, accuracies, folder=f"root/{where}/{name}-{seed}", **more)
        return base

    return written


def told(evidence):
    return list(evidence.runs[list(RUN_KEY)].itertuples(index=False, name=None))


def test_runs_by_combination_method_seed_and_kind(root):
    root("b", "dots", 2), root("b", "grpo", 1), root("a", "mine", 1), root("a", "grpo", 3)
    found = read_evidence(root("a/time", "grpo", 1, {}, last_step=3))
    assert told(found) == [
        ("a", "grpo", 1, "time"), ("a", "grpo", 3, "accuracy"), ("a", "mine", 1, "accuracy"),
        ("b", "grpo", 1, "accuracy"), ("b", "dots", 2, "accuracy"),
    ]  # fmt: skip
    assert tuple(found.steps.columns[:10]) == (*RUN_KEY, *STEP_COLUMNS)
    assert tuple(found.runs.columns) == (*RUN_KEY, *RUN_COLUMNS)
    rows = found.run("b", "dots", 2, "accuracy")
    assert rows["step"].tolist() == [0, 1, 2, 3, 4]
    assert rows["accuracy"].tolist()[::4] == [0.1, 0.5] and math.isnan(rows["accuracy"].tolist()[1])
    assert rows["train_seconds"].tolist() == [0, 12, 14, 16, 18]
    assert rows["generated_tokens"].tolist() == [0, 100, 200, 300, 400]
    assert rows["generated_rollouts"].isna().all()  # as earlier versions left it
    alone = found.run("a", "grpo", 1, "time")
    assert alone["accuracy"].isna().all() and len(alone) == 4


def test_runs_of_a_papers_recipe_are_of_the_combination_that_is_named_like_it(root):
    """Recipes train in runs/PAPER/SETTING; what else is nested is no combination."""
    root("dots/math-1.5b_math", "grpo", 1), root("dots/other", "grpo", 1), root("mine", "grpo", 1)
    base = root("dots/math-1.5b_math/time", "grpo", 1, {}, last_step=3)
    recipe = "dots/math-1.5b_math"
    assert told(read_evidence(base)) == [
        (recipe, "grpo", 1, "accuracy"), (recipe, "grpo", 1, "time"), ("mine", "grpo", 1, "accuracy"),
    ]  # fmt: skip
    assert [key[0] for key in told(read_evidence(base / "dots"))] == [recipe, recipe, "other"]


def test_metrics_that_are_asked_for_rounded(root):
    metrics = {"actor/entropy": 0.123456789, "timing_s/gen/slow": 1.0, "val-core/x/acc/best@4": 1.0, "other": 2.0}
    base = root("a", "grpo", 1, {0: 1 / 3, 2: 2 / 3}, metrics=lambda step: metrics, seconds=1 / 7)
    found = read_evidence(base).steps
    names = list(found.columns[10:])
    fixed = [name for name in METRICS if "*" not in name]
    timing = ["timing_s/gen", "timing_s/step", "timing_s/testing"]
    assert names == [ACCURACY, *fixed, *timing]
    assert found["actor/entropy"].tolist()[1] == 0.123457 and found["replay/share"].isna().all()
    assert found["accuracy"].tolist()[::2] == [0.333333, 0.666667]
    assert found["train_seconds"].tolist() == [0, 10.143, 10.286]
    few = read_evidence(base, metrics=["actor/entropy", "none"]).steps
    assert list(few.columns[10:]) == [ACCURACY, "actor/entropy", "none"]


def test_what_the_stages_tell_is_kept(root):
    """Each of these is named by the page of cheaper steps."""
    told = dict.fromkeys((
        "selection/effective_groups", "stop_early/stopped", "stop_early/saved", "refill/rounds", "filter/kept_rows",
        "filter/share", "loss/replayed/effective_sample_size", "entropy_coefficient/coefficient",
    ), 0.5)  # fmt: skip
    found = read_evidence(root("a", "grpo", 1, metrics=lambda step: told | {"stop_early/a/b": 1.0})).steps
    assert all(found[name].tolist()[1:] == [0.5] * 4 for name in told) and "stop_early/a/b" not in found


def test_what_is_known_of_a_run(root):
    settings = {
        "actor_rollout_ref": {"model": {"path": "/disk/models/tiny"}},
        "data": {"train_files": ["/disk/data/skewed/train.parquet", "more.parquet"]},
        "trainer": {"total_training_steps": 4},
    }
    base = root("a", "grpo", 1, settings=settings)
    file = base / "a/grpo-1/run.json"
    machine = {"cpu": "Fast 9000", "cores": 2, "gpus": ["G", "G"]}
    file.write_text(json.dumps(json.loads(file.read_text()) | {"commit": "abc+", "machine": machine}))
    found = read_evidence(base)
    about = found.runs.iloc[0].to_dict()
    steps = found.run("a", "grpo", 1, "accuracy")
    assert about == dict(zip(RUN_KEY, ("a", "grpo", 1, "accuracy"), strict=True)) | {
        "path": (base / "a/grpo-1").as_posix(), "model": "models/tiny", "data": "skewed/train.parquet, more.parquet",
        "commit": "abc+", "machine": "Fast 9000, 2 cores, 2 x G", "started": "2026-01-02T03:04:05",
        "finished": "2026-01-02T04:04:05", "planned_steps": "4", "fingerprint": fingerprint(steps),
    }  # fmt: skip


def test_unfinished_runs_are_left_out_and_named(root):
    root("a", "grpo", 1), root("a", "grpo", 2, finished=False), root("a", "grpo", 3, {0: 0.1, 3: 0.2})
    (empty := root("a/time", "grpo", 1, finished=False) / "a/time/grpo-2").mkdir()
    (empty / "run.json").write_text("{}")
    found = read_evidence(empty.parents[2])
    assert told(found) == [("a", "grpo", 1, "accuracy")]
    texts = [note for note in found.notes if "left out" in note]
    assert [text.split("grpo-")[1].split(":")[0].split(" ")[0] for text in texts] == ["2", "3", "1", "2"]
    assert "not finished (step 4)" in texts[0] and "ends at step 3" in texts[1]


def test_runs_that_cannot_be_evidence(root, tmp_path):
    with refused(str(tmp_path / "none"), "file"):
        read_evidence(tmp_path / "none")
    base = root("a", "grpo", 1, finished=False)
    with refused(str(base), "data", "a: no finished run", "a/grpo-1: not finished (step 4)"):
        read_evidence(base)
    with refused(str(base / "a"), "missing", "name the folder above it"):
        read_evidence(base / "a")


def test_two_runs_of_one_seed_are_refused(root):
    root("a", "grpo", 1)
    base = root("a", "grpo", 2, {0: 0.2, 4: 0.4})
    file = base / "a/grpo-2/run.json"
    file.write_text(file.read_text().replace('"seed": 2', '"seed": 1'))
    with refused(str(base / "a/grpo-2"), "excluded", "grpo-1", "a/grpo/1/accuracy"):
        read_evidence(base)


def test_a_run_without_a_seed_and_a_folder_that_is_no_run_are_named(root):
    base = root("a", "grpo", 1)
    file = base / "a" / "mine.jsonl"
    file.write_text(json.dumps({"step": 0, "data": {ACCURACY: 0.5}}) + "\n")
    (base / "a" / "plots").mkdir()
    found = read_evidence(base)
    assert told(found) == [("a", "grpo", 1, "accuracy")]
    assert any("mine.jsonl is left out: it tells no seed" in note for note in found.notes)
    assert any("plots is no run" in note for note in found.notes)
    file.rename(base / "a" / "mine-seed7.jsonl")
    assert told(read_evidence(base))[1] == ("a", "mine", 7, "accuracy")


def test_runs_validated_on_different_data_are_refused(root):
    root("a", "grpo", 1)
    base = root("a", "dots", 1, key="val-core/other/acc/mean@1")
    with refused(str(base), "data", "val-core/other/acc/mean@1", "dots-1", "grpo-1"):
        read_evidence(base)


@pytest.mark.parametrize("of_b", [{"finished": False}, {"key": "val-core/other/acc/mean@1"}])
def test_a_combination_whose_runs_cannot_be_compared_leaves_the_others_as_they_are(root, of_b):
    root("a", "grpo", 1)
    root("b", "grpo", 1, **of_b)
    base = root("b", "dots", 1, **({"finished": False} if "finished" in of_b else {}))
    found = read_evidence(base)
    assert told(found) == [("a", "grpo", 1, "accuracy")]
    (note,) = [note for note in found.notes if note.startswith("b: its accuracy runs are left out")]
    assert "b/grpo-1" in note and "--include-unfinished" not in note  # which this command has not


def test_a_run_named_like_the_untrained_model_is_refused(root):
    base = root("a", "base", 1)
    with refused(str(base / "a/base-1"), "excluded", "'base'"):
        read_evidence(base)


@pytest.mark.parametrize("changes", [{"finished": False}, {"key": "val-core/other/acc/mean@1"}])
def test_timing_runs_alone_hide_no_reason(root, changes, tmp_path, capsys):
    """Nothing can be compared by them; a metric that there is not is told with the nearest."""
    base = root("a", "grpo", 1, **changes)
    (base / "a/time").mkdir()
    shutil.copytree(root("b", "grpo", 1) / "b/grpo-1", base / "a/time/grpo-1")
    shutil.rmtree(base / "b")
    metric = "val-core/othr/acc/mean@1" if "key" in changes else None
    with refused(str(base), "data", "val-core/other/acc/mean@1" if metric else "not finished"):
        read_evidence(base, metric=metric)


def test_tables_beside_runs_take_nothing_away(root):
    base = root("a", "grpo", 1)
    saved.save(read_evidence(base), base / "a")
    assert told(read_evidence(base)) == [("a", "grpo", 1, "accuracy")]


def test_what_an_earlier_call_wrote_below_the_root_is_no_combination(root):
    base = root("a", "grpo", 1)
    saved.save(read_evidence(base), base / "report")
    assert told(read_evidence(base)) == [("a", "grpo", 1, "accuracy")]


def test_a_metric_that_is_named_accuracy_is_the_accuracy(root, tmp_path):
    base = root("a", "grpo", 1, key="accuracy")
    found = read_evidence(base, metric="accuracy")
    assert found.steps.columns.is_unique and tuple(found.steps.columns[:10]) == (*RUN_KEY, *STEP_COLUMNS)
    assert found.steps["accuracy"].tolist()[::4] == [0.1, 0.5]
    saved.save(found, tmp_path / "kept")
    assert saved.load(tmp_path / "kept").steps["accuracy"].tolist()[::4] == [0.1, 0.5]


@pytest.mark.parametrize("name", ["combination", "method", "seed", "kind", "step", "wall_seconds"])
def test_a_metric_named_like_another_column_is_refused(root, name):
    base = root("a", "grpo", 1, key=name)
    with refused("--metric", "excluded", f"evidence has a column {name} of its own", f"val/{name}"):
        read_evidence(base, metric=name)


def test_evaluations_of_different_steps_do_not_count_and_are_named(root):
    for seed, step in ((1, 2), (2, 4)):
        base = root("a", "grpo", seed, {0: 0.1, 4: 0.1 * seed})
        (file := base / f"a/grpo-{seed}/global_step_{step}/evaluation/evaluation.json").parent.mkdir(parents=True)
        file.write_text(json.dumps({"results": {"x": {"questions": 9, "pass@1": {"value": 0.5}}}, "settings": {}}))
    found = read_evidence(base)
    assert found.evaluations == {}
    assert found.notes[-1].startswith("a: no evaluation counts, for they differ in step: 2 (grpo 1), 4 (grpo 2).")
