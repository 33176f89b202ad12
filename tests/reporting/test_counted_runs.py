"""Which runs count: unfinished, shorter and repeated ones are named and left out."""

import shutil

from tests.refusals import refused
from verl_dots.reporting.counted_runs import select

CURVE = {0: 0.1, 2: 0.2, 4: 0.3}


def kept(selection):
    return {name: [run.path.name for run in runs] for name, runs in selection.groups.items()}


def reasons(selection):
    return {one.path.name: one.reason for one in selection.left_out}


def test_an_unfinished_run_is_left_out_with_its_reason_and_the_flag(write_run):
    planned = {"trainer": {"total_training_steps": 4}}
    folders = [
        write_run("grpo", 0, CURVE, settings=planned),
        write_run("grpo", 1, {0: 0.1, 2: 0.5}, finished=False, settings=planned),
        write_run("grpo", 2, {0: 0.1, 2: 0.6}, settings=planned),
        write_run("dots", 0, CURVE, finished=False),
    ]
    found = select(folders)
    assert kept(found) == {"grpo": ["grpo-0"]}
    assert reasons(found) == {
        "grpo-1": "not finished (step 2 of 4)",
        "grpo-2": "ended early (step 2 of 4)",
        "dots-0": "not finished (step 4)",
    }
    sentence = f"{folders[1]} (grpo, seed 1): not finished (step 2 of 4). --include-unfinished counts it all the same."
    assert found.left_out[0].sentence == sentence


def test_a_run_that_is_shorter_at_either_end_than_another_of_its_method_is_left_out(write_run):
    folders = [
        write_run("grpo", 0, CURVE),
        write_run("grpo", 1, {0: 0.1, 2: 0.5}, last_step=3),
        write_run("grpo", 2, {0: 0.1, 2: 0.6}, last_step=4),  # its last accuracy is missing
        write_run("grpo", 3, CURVE, first_step=3),
        write_run("grpo", 4, {2: 0.2, 4: 0.3}, first_step=1),  # no validation before training is no lack
        write_run("dots", 0, {0: 0.1, 2: 0.5}),  # another method may have other steps
    ]
    found = select(folders)
    assert kept(found) == {"grpo": ["grpo-0", "grpo-4"], "dots": ["dots-0"]}
    assert reasons(found) == {
        "grpo-1": "it ends at step 3, another run of grpo at step 4",
        "grpo-2": "it was last validated at step 2, another run of grpo at 4",
        "grpo-3": "its rows begin at step 3, those of another run of grpo at step 1",
    }


def test_when_asked_for_the_runs_of_a_method_are_cut_to_the_steps_that_all_have(write_run):
    short = write_run("grpo", 1, {0: 0.1, 2: 0.5}, last_step=3, finished=False)
    alone = write_run("dots", 0, CURVE, last_step=5)
    found = select([write_run("grpo", 0, CURVE), short, alone], include_unfinished=True)
    assert kept(found) == {"grpo": ["grpo-0", "grpo-1"], "dots": ["dots-0"]}
    assert [run.last_step for runs in found.groups.values() for run in runs] == [2, 2, 5]
    assert [run.unfinished for run in found.groups["grpo"]] == [None, "not finished (step 3)"]
    assert found.left_out == ()
    assert found.notes == (
        f"{short} (grpo) counts all the same: not finished (step 3).",
        "grpo counts up to step 2 only, the last at which all of its 2 runs were validated.",
    )


def test_runs_that_have_told_nothing_are_named_and_never_count(write_run, tmp_path):
    empty, started, early = (tmp_path / name for name in ("empty", "started", "early"))
    for folder in (empty, started):
        folder.mkdir()
        (folder / "run.json").write_text('{"name": "grpo", "seed": 5, "finished": null}')
    (empty / "metrics.jsonl").write_text("")
    write_run("grpo", 6, {}, finished=False, folder="early")
    found = select([write_run("grpo", 0, CURVE), empty, started, early], include_unfinished=True)
    assert kept(found) == {"grpo": ["grpo-0"]}
    assert "metrics.jsonl is empty" in reasons(found)["empty"]
    assert "has no metrics.jsonl: the run has told nothing yet" in reasons(found)["started"]
    assert reasons(found)["early"] == "not finished (step 4), and without a validation yet"
    assert "--include-unfinished" not in found.left_out[0].sentence
    with refused("", "data") as error:
        select([empty])
    assert "--include-unfinished" not in str(error.value)


def test_a_finished_run_without_an_accuracy_is_an_error(write_run):
    folders = [write_run("grpo", 0, CURVE), write_run("grpo", 1, {})]
    with refused(str(folders[1]), "data"):
        select(folders)


def test_the_same_run_twice_counts_once(write_run, tmp_path):
    first = write_run("grpo", 0, CURVE)
    shutil.copytree(first, tmp_path / "copy")
    again = write_run("grpo", 0, CURVE, seconds=3.0, folder="again")  # the same seed on a slower machine
    beginning = write_run("grpo", 0, {0: 0.1, 2: 0.2}, folder="beginning")
    other = write_run("grpo", 0, {0: 0.1, 2: 0.2, 4: 0.35}, folder="other")
    found = select([beginning, first, tmp_path / "copy", again, other])
    assert kept(found) == {"grpo": ["grpo-0", "other"]}
    reason = f"it repeats {first}: the same seed and the same accuracies"
    assert reasons(found) == dict.fromkeys(("beginning", "copy", "again"), reason)
    assert found.notes == (f"{first} and {other} are both 'grpo' with seed 0; both count.",)


def test_runs_without_a_seed_are_copies_only_if_all_rows_are_equal(write_run):
    seconds = {"one": 2.0, "two": 2.0, "three": 3.0}
    folders = [write_run("grpo", None, CURVE, each, folder=name) for name, each in seconds.items()]
    assert kept(select(folders)) == {"grpo": ["one", "three"]}


def test_runs_without_a_common_validation_cannot_be_cut(write_run):
    folders = [write_run("grpo", 0, {0: 0.1, 4: 0.2}), write_run("grpo", 1, {1: 0.1, 3: 0.2}, finished=False)]
    with refused("grpo", "size", "grpo-0: step 4; "):
        select(folders, include_unfinished=True)
