"""The command: what it refuses, and all that `--quick` runs without a GPU, through Ray once."""

import json
import socket

import pytest

from tests.launches import train
from verl_dots.config import PRESETS
from verl_dots.doctor import model
from verl_dots.doctor.__main__ import _parse, asked, main

COMMAND = "verl_dots.doctor"
CHANGING = ("all", "e3", "e3_annealing", "e3_short", "e3_temperature")  # presets that set the temperature themselves


@pytest.mark.parametrize(
    "arguments",
    [
        ["device=cpu", "--recipe", "recipes/none.sh"],
        ["--recipe", "recipes/dots/math-1.5b_math.sh no_method"],
        ["device=cpu", "--json", "/dev/null/doctor.json"],
        ["device=cpu", "no.such.key=1"],
    ],
)
def test_what_cannot_be_read_or_written_is_refused_at_once(arguments, tmp_path, capsys, own_environment):
    assert main([*arguments, "--work", str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith("doctor: ")


@pytest.mark.parametrize(
    ("method", "variables", "settled"),
    [
        ("dots_rr", {}, "PREDICTOR=online"),
        ("grpo", {}, ""),  # it has no predictor
        ("dots_rr", {"PREDICTOR": "online"}, ""),
        ("dots_rr", {"PREDICTOR": "none"}, ""),  # which `recipe` refuses
    ],
)
def test_a_variable_that_a_run_would_need_is_told_of(
    method, variables, settled, tmp_path, monkeypatch, own_environment
):
    monkeypatch.delenv("PREDICTOR", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    options = _parse(["--recipe", f"recipes/dots/math-1.5b_math.sh {method}"])
    context = asked(options, tmp_path)
    assert context.settled == settled
    checkpoint = [each for each in context.overrides if each.startswith("dots.difficulty.checkpoint=")]
    assert checkpoint == (["dots.difficulty.checkpoint=none"] if variables.get("PREDICTOR") == "none" else [])
    row = model.recipe(context)[0]
    assert (row.check == "PREDICTOR") == bool(settled)
    if settled:
        assert row.outcome == "fail" and "not set" in row.value
        assert "export PREDICTOR=online" in row.fix and "recipes/dots/predictor.sh" in row.fix


def test_logs_stay_below_the_folder_of_the_call_and_a_refusal_leaves_none(
    tmp_path, monkeypatch, capsys, own_environment
):
    monkeypatch.chdir(tmp_path)
    assert main(["device=cpu", "no.such.key=1"]) == 2
    assert list((tmp_path / "runs/doctor").iterdir()) == []
    assert main(["device=cpu", "--only", "toolchain"]) == 0
    [work] = (tmp_path / "runs/doctor").iterdir()
    assert work.name.startswith("20") and f"-{socket.gethostname()}-" in work.name
    assert (work / "toolchain.log").is_file() and str(work) in capsys.readouterr().err.replace("\n", "")
    (tmp_path / "file").touch()
    assert main(["device=cpu", "--work", str(tmp_path / "file/x")]) == 2
    assert "--work" in capsys.readouterr().err


def test_with_dry_run_the_checks_are_named_and_nothing_stays(tmp_path, monkeypatch, capsys, own_environment):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DRY_RUN", "1")
    recipe = ["--recipe", "recipes/dots/math-1.5b_math.sh grpo"]
    assert main([*recipe, "--only", "host", "gpus"]) == 0
    told = capsys.readouterr()
    assert " ".join(told.err.split()) == f"doctor: DRY_RUN: of {recipe[1]} it would look at gpus, host"
    assert told.out == "" and list((tmp_path / "runs/doctor").iterdir()) == []


def test_words_and_impatience_are_refused(tmp_path):
    for arguments in (["word"], ["--patience", "0"], ["--only", "no_check"]):
        with pytest.raises(SystemExit) as ended:
            main([*arguments, "--work", str(tmp_path)])
        assert ended.value.code == 2


@pytest.mark.e2e
def test_the_quick_checks_pass_on_a_cpu_and_skip_what_needs_a_gpu(tmp_path):
    done = train(["device=cpu", "--quick", "--work", tmp_path, "--json", tmp_path / "d.json"], COMMAND)
    told = json.loads((tmp_path / "d.json").read_text())
    assert told["about"].keys() == {"commit", "date", "machine", "recipe", "model", "engine", "checks"}
    assert (told["about"]["engine"], told["about"]["checks"]) == ("hf", "quick")
    rows = {row["check"]: row for row in told["rows"]}
    kinds = ("pass", "fail", "skipped")
    outcomes = {kind: {name for name, row in rows.items() if row["outcome"] == kind} for kind in kinds}
    # Another RAM, disk, or version of a package is no fault of the doctor's.
    machine = {"RAM", "/dev/shm", "disk", "packages, by the lock"}
    assert outcomes["fail"] <= machine and done.returncode == int(bool(outcomes["fail"])), done.stdout[-4000:]
    assert {"driver", "GPUs", "flash-attn", "difficulty worker, cuda against cpu"} <= outcomes["skipped"]
    assert {
        "C compiler and Python.h", "all-reduce by gloo, 2 ranks", "chat template", "stop token",
        "greedy, alone and among 64", "greedy, alone and beside three temperatures",
        *(f"difficulty worker's {what}, cpu against cpu" for what in ("embeddings", "predictions")),
        *(f"different responses of 16 to one question, temperature {heat}" for heat in (1.0, 1.3)),
        *(f"log-probs against a forward pass, temperature {heat}" for heat in (0.6, 1.0, 1.3)),
    } <= outcomes["pass"]  # fmt: skip
    assert rows["packages, by verl-dots and verl"]["outcome"] == "pass"
    assert rows["greedy, alone and among 64"]["value"] == "the same tokens"


@pytest.mark.e2e
@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        (
            "sync",
            {
                "engine against the trainer, temperature 1.0",
                *(f"weights reach the engine, step {n}" for n in (2, 3)),
                "other weights change greedy responses",
                "the first weights bring them back",
            },  # fmt: skip
        ),
        ("critic", {"critic", "engine against the trainer, temperature 0.6"}),
        ("kl", {"KL term", "engine against the trainer, temperature 1.3"}),
        ("life", {"save", "resume", "merge of shards", "evaluate"}),
        ("stages", {"suggested option of sbatch"}),
        *(
            (
                f"preset_{preset}",
                {f"preset {preset}", f"preset {preset}: peak memory"}
                | ({"engine against the trainer, temperature 1.0"} if preset not in CHANGING else set()),
            )
            for preset in PRESETS
        ),
    ],
)
def test_a_run_passes(name, wanted, tmp_path):
    own = f"trainer.default_local_dir={tmp_path}/recipe"
    done = train(["device=cpu", own, "--work", tmp_path, "--json", tmp_path / "d.json", "--only", name], COMMAND)
    rows = {row["check"]: row for row in json.loads((tmp_path / "d.json").read_text())["rows"]}
    assert done.returncode == 0 and not [row for row in rows.values() if row["outcome"] in ("fail", "skipped")]
    assert wanted <= set(rows)
    if name == "stages":
        saving = next(row["value"] for check, row in rows.items() if check.endswith(": saving, validation"))
        assert float(saving.split(" s")[0]) > 0 and not (tmp_path / "recipe.doctor").exists()
    if name == "preset_all":
        assert all(stage in rows["preset all: peak memory"]["value"] for stage in ("rollouts", "update"))
