"""What the checks make of what they find; each part without a run."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from omegaconf import OmegaConf
from packaging.requirements import Requirement
from ray._private.utils import resolve_object_store_memory

from scripts.reproduce.cluster import read_rows
from tests.launches import ROOT, environment
from verl_dots.doctor import engine, hardware, launching, life, model, rows, running, software
from verl_dots.doctor.checks import CHECKS, needed_by, seconds_of
from verl_dots.doctor.context import CheckFailed, Context
from verl_dots.doctor.footprint import Footprint
from verl_dots.doctor.running import Check, chosen, run_check
from verl_dots.doctor.stage_memory import Watched
from verl_dots.doctor.step_seconds import TABLE, step_seconds
from verl_dots.launch import attention_checks
from verl_dots.sizes import GB

CONTEXT = Context(work="", recipe="r", overrides=("device=cpu",), gpus=0)


def test_names_are_those_of_functions_and_no_two_are_alike():
    assert len({check.name for check in CHECKS}) == len(CHECKS)
    for check in CHECKS:
        module, _, name = check.function.partition(".")
        assert f"\ndef {name}(context: Context" in (Path(running.__file__).parent / f"{module}.py").read_text()


def test_a_level_has_what_the_one_below_has_and_only_names_what_runs():
    names = {level: [check.name for check in chosen(CHECKS, [], level, ["kl"])] for level in ("quick", "recipe", "all")}
    assert "engine" in names["quick"] and not {*names["quick"]} & {"sync", "life", "stages", "preset_grpo", "kl"}
    assert {*names["recipe"]} - {*names["quick"]} == {"sync", "kl", "life"}
    assert names["all"] == [check.name for check in CHECKS]
    assert [check.name for check in chosen(CHECKS, ["life", "host"], "quick")] == ["host", "life"]


@pytest.mark.usefixtures("cpu_environment")
@pytest.mark.parametrize(
    ("overrides", "needed"),
    [
        ([], {"preset_grpo"}),
        (["dots.preset=grpo", "dots.preset=dots_rr"], {"preset_dots_rr"}),
        (["dots.preset=dash", "actor_rollout_ref.actor.use_kl_loss=True"], {"preset_dash", "kl"}),
        (["dots.preset=adarft", "algorithm.adv_estimator=gae"], {"preset_adarft", "critic"}),
    ],
)
def test_a_recipe_needs_its_preset_its_critic_and_its_reference(overrides, needed):
    found = needed_by(Context("", "r", ("device=cpu", *overrides), 0))
    assert found == needed <= {check.name for check in CHECKS if check.level == "all"}


def test_a_row_tells_the_fix_only_where_it_failed():
    good, bad = (rows.judged("a", value, "1", "2", "do it") for value in (True, False))
    assert (good.outcome, good.fix, bad.outcome, bad.fix) == ("pass", "", "fail", "do it")
    told = rows.as_json([good, bad, rows.skipped("b", "no GPU")])
    assert told["counts"] == {"pass": 1, "fail": 1, "warning": 0, "skipped": 1, "measured": 0}
    assert told["rows"][2] == {"check": "b", "value": "no GPU", "limit": "", "outcome": "skipped", "fix": ""}


@pytest.mark.parametrize(
    ("check", "found"),
    [
        (Check("slow", "software.versions", 0.01), "no result after 0.01 s"),
        (Check("unknown", "software.versions", 60), "ended with status 1: StopIteration"),  # no check of that name
    ],
)
def test_a_check_that_does_not_end_well_is_a_row_that_failed(tmp_path, check, found):
    [row] = run_check(check, Context(str(tmp_path), "r", ("device=cpu",), 0))
    assert (row.check, row.outcome) == (check.name, "fail")
    assert row.value.startswith(found) and str(tmp_path / f"{check.name}.log") in row.fix


def test_relative_paths_are_of_the_checkout_wherever_the_doctor_was_started(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    there = "recipes/cpu/tiny_model"
    context = Context(str(tmp_path), "r", ("device=cpu", f"actor_rollout_ref.model.path={there}"), 0)
    rows = run_check(Check("model", "model.model", 120), context)
    assert [(row.check, row.outcome) for row in rows] == [(f"model {there}", "pass"), ("chat template", "pass")]
    assert (tmp_path / "model.log").is_file()


def test_what_computes_on_gpus_is_skipped_where_there_are_none(tmp_path):
    [row] = run_check(Check("engine", "engine.engine", 1, device=True), Context(str(tmp_path), "r", (), gpus=0))
    assert (row.outcome, row.check) == ("skipped", "engine") and "no GPU" in row.value


def test_a_context_is_the_same_in_another_process(tmp_path):
    CONTEXT.save(tmp_path / "context.json")
    assert Context.load(tmp_path / "context.json") == CONTEXT and CONTEXT.cpu


def test_packages_that_do_not_fit_are_named():
    assert software.misfit(Requirement("verl==0.9.1")) == ""
    assert software.misfit(Requirement("verl>=99")).endswith("not >=99")
    assert software.misfit(Requirement("no-such-package==1")) == "no-such-package==1 is missing"
    assert software.misfit(Requirement('no-such-package; python_version < "3"')) == ""
    names = {each.name for each in software.requirements("")}
    assert {"verl", "ray", "TransferQueue", "hydra-core"} <= names and "vllm" not in names  # hydra-core is verl's
    assert {"vllm", "torch"} <= {each.name for each in software.requirements("vllm")}


def test_a_build_without_cuda_has_no_toolkit_and_no_driver_to_name(monkeypatch):
    monkeypatch.setattr("torch.version.cuda", None)
    assert software._toolkit(CONTEXT).outcome == "skipped"
    driver = software._driver()
    assert driver.outcome == "fail" and "no CUDA" in driver.value
    assert "activate" in driver.fix and "VENV=.venv-gpu bash scripts/install_gpu.sh" in driver.fix


@pytest.fixture
def driver_of(tmp_path):
    """The row of a machine with such a libcuda, which is compiled, and such an nvidia-smi."""
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 535.104.05\n")
    tool.chmod(0o755)

    def row(version: int | None, status: int = 0, build: str = "13.0") -> rows.Row:
        if version:
            made = ["-shared", "-x", "c", "-", "-o", str(tmp_path / "libcuda.so.1")]
            text = f"int cuInit(int f) {{ return {status}; }} "
            text += f"int cuDriverGetVersion(int *n) {{ *n = {version}; return 0; }}"
            subprocess.run(["gcc", *made], input=text, text=True, check=True)
        # Of torch it needs what it was built for, and nothing that takes seconds to import.
        program = "import dataclasses, json, sys, types; torch = sys.modules['torch'] = types.ModuleType('torch'); "
        program += f"torch.version = types.SimpleNamespace(cuda={build!r}); from verl_dots.doctor import software; "
        program += "print(json.dumps(dataclasses.asdict(software._driver())))"
        paths = {"PATH": f"{tmp_path}:/usr/bin:/bin", "LD_LIBRARY_PATH": str(tmp_path)}
        done = subprocess.run([sys.executable, "-c", program], env=environment(**paths), text=True, capture_output=True)
        return rows.Row(**json.loads(done.stdout.splitlines()[-1]))

    return row


@pytest.mark.parametrize(
    ("version", "status", "build", "outcome", "told"),
    [
        (13000, 0, "13.0", "pass", "CUDA 13.0; driver 535.104.05"),  # compatibility libraries, as in our images
        (13000, 100, "13.0", "pass", "CUDA 13.0; driver 535.104.05"),  # no GPU here, which another row tells
        (12020, 0, "13.0", "fail", "CUDA 12.2; driver 535.104.05"),
        (12020, 0, "12.8", "pass", "CUDA 12.2; driver 535.104.05"),  # of one major version all fit
        (13000, 804, "13.0", "fail", "this GPU is not served by CUDA's compatibility libraries"),
        (13000, 803, "13.0", "fail", "its driver is too old for it"),
        (None, 0, "13.0", "fail", "no libcuda.so.1; driver 535.104.05"),
    ],
)
def test_what_the_loaded_libcuda_offers_counts_and_not_the_drivers_number(
    driver_of, version, status, build, outcome, told
):
    row = driver_of(version, status, build)
    assert (row.check, row.outcome) == ("driver", outcome) and told in row.value, row
    assert row.limit == ("CUDA 13; a driver of 580 has it" if build == "13.0" else "CUDA 12; a driver of 525 has it")
    assert ("recipes/containers" in row.fix) == (outcome == "fail" and version is not None)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("echo 535.104.05", "driver 535.104.05"),
        ("echo 'NVIDIA-SMI has failed'; exit 9", "nvidia-smi: NVIDIA-SMI has failed"),  # where a version would be
        ("exit 9", "nvidia-smi says nothing"),
    ],
)
def test_what_nvidia_smi_says_is_a_version_only_where_it_is_a_number(said, told, tmp_path, monkeypatch):
    (tmp_path / "nvidia-smi").write_text(f"#!/bin/sh\n{said}\n")
    (tmp_path / "nvidia-smi").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert software._driver_version() == told


def without_toolkit(monkeypatch) -> None:
    """Whatever this machine has outside of PATH."""
    monkeypatch.setattr(software, "CUDA", "/nowhere")
    for name in ("CUDA_HOME", "CUDA_PATH"):
        monkeypatch.delenv(name, raising=False)


FLASH, SDPA = (f"+{attention_checks.KEY}={name}" for name in ("flash_attention_2", "sdpa"))


@pytest.mark.usefixtures("cpu_environment")
@pytest.mark.parametrize(
    ("overrides", "toolkit", "attention"),
    [
        ((SDPA,), "warning", "warning"),
        ((FLASH,), "fail", "fail"),
        ((SDPA, "algorithm.adv_estimator=gae"), "fail", "fail"),
    ],
)
def test_without_flash_attention_a_recipe_that_does_without_it_is_warned(
    overrides, toolkit, attention, tmp_path, monkeypatch
):
    for module in (attention_checks, model, software):
        monkeypatch.setattr(module, "has_flash_attention", lambda: False)
    monkeypatch.setattr("torch.version.cuda", "13.0")
    without_toolkit(monkeypatch)
    monkeypatch.setenv("PATH", str(tmp_path))  # no nvcc
    tiny = f"actor_rollout_ref.model.path={Context(str(tmp_path), '', (), 0).tiny_model()}"
    context = Context(str(tmp_path), "r", (tiny, "actor_rollout_ref.rollout.name=vllm", *overrides), 1)
    [row] = model.attention(context)
    assert (row.check, row.outcome) == ("flash-attn", attention) and ("installed" in row.value or "critic" in row.value)
    assert "flash_attn.sh" in row.fix
    row = software._toolkit(context)
    assert (row.check, row.outcome) == ("CUDA toolkit", toolkit) and "no nvcc" in row.value and "nvcc" in row.fix


@pytest.mark.usefixtures("cpu_environment")
@pytest.mark.parametrize(
    ("release", "overrides", "there", "outcome", "value"),
    [
        ("12.4", (FLASH,), True, "skipped", "flash-attn is there, and nothing else is built"),
        ("12.4", (FLASH,), False, "fail", "nvcc of CUDA 12.4, and no flash-attn"),
        (
            "12.4",
            (SDPA,),
            False,
            "warning",
            "nvcc of CUDA 12.4; r does without flash-attn, which one of CUDA 13 builds",
        ),
        ("13.0", (FLASH,), False, "pass", "nvcc of CUDA 13.0, and no flash-attn"),
        ("1.31", (FLASH,), False, "fail", "nvcc of CUDA 1.31, and no flash-attn"),
        (None, (FLASH,), True, "skipped", "flash-attn is there, and nothing else is built"),
    ],
)
def test_nvcc_must_be_torchs_only_where_flash_attention_has_to_be_built(
    release, overrides, there, outcome, value, tmp_path, monkeypatch
):
    monkeypatch.setattr(software, "has_flash_attention", lambda: there)
    monkeypatch.setattr("torch.version.cuda", "13.0")
    without_toolkit(monkeypatch)
    if release:
        tool = tmp_path / "nvcc"
        tool.write_text(f"#!/bin/sh\necho 'Cuda compilation tools, release {release}, V{release}.131'\n")
        tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    tiny = f"actor_rollout_ref.model.path={ROOT}/recipes/cpu/tiny_model"
    row = software._toolkit(Context("", "r", (tiny, "actor_rollout_ref.rollout.name=vllm", *overrides), 1))
    assert (row.check, row.outcome, row.value) == ("CUDA toolkit", outcome, value)
    assert ("nvcc of CUDA 13" in row.fix) == (outcome in ("fail", "warning"))


@pytest.mark.parametrize(
    ("places", "given", "value"),
    [
        (("path", "home", "usual"), {"CUDA_HOME": "home"}, "nvcc of CUDA 13.0 in {}/home/bin"),
        (("path", "home", "usual"), {"CUDA_PATH": "home"}, "nvcc of CUDA 13.0 in {}/home/bin"),
        (("path", "usual"), {"CUDA_HOME": "home"}, "nvcc of CUDA 13.0"),
        (("path", "usual"), {}, "nvcc of CUDA 13.0"),
        (("usual",), {}, "nvcc of CUDA 13.0 in {}/usual/bin"),
        ((), {}, "no nvcc in PATH, {}/usual/bin"),
        ((), {"CUDA_HOME": "home"}, "no nvcc in PATH, {0}/home/bin, {0}/usual/bin"),
    ],
)
def test_nvcc_is_looked_for_where_a_build_finds_it_too(places, given, value, tmp_path, monkeypatch):
    for place in places:
        tool = tmp_path / place / "bin/nvcc"
        tool.parent.mkdir(parents=True)
        tool.write_text("#!/bin/sh\necho 'Cuda compilation tools, release 13.0, V13.0.131'\n")
        tool.chmod(0o755)
    without_toolkit(monkeypatch)
    monkeypatch.setattr(software, "CUDA", f"{tmp_path}/usual")
    monkeypatch.setenv("PATH", f"{tmp_path}/path/bin")
    for name, place in given.items():
        monkeypatch.setenv(name, f"{tmp_path}/{place}")
    assert software._nvcc() == value.format(tmp_path)


@pytest.mark.parametrize("free", [8 * GB, 32 * GB, 128 * GB, 1000 * GB])
def test_with_as_much_of_dev_shm_rays_store_is_in_it_and_with_less_it_is_not(free, monkeypatch):
    least = hardware.least_shared(free)
    assert least == {8: 2.4, 32: 9.6, 128: 10, 1000: 10}[free // GB] * GB
    for shared in (least, 2 * least, 64 * GB, 500 * GB):
        monkeypatch.setattr("ray._private.utils.get_shared_memory_bytes", lambda shared=shared: shared)
        assert resolve_object_store_memory(free) <= shared
    monkeypatch.setattr("ray._private.utils.get_shared_memory_bytes", lambda: least - 1)
    assert resolve_object_store_memory(free) > least - 1


def test_the_limit_of_three_steps_follows_the_table_of_hours():
    """133 h of 87 steps: 3 x 1.5 x 133 x 3,600 / 87 + 1,200."""
    stages = next(check for check in CHECKS if check.name == "stages")
    limits = {
        recipe: seconds_of(stages, Context("", recipe, (), 4))
        for recipe in ("recipes/dash/3b.sh grpo", f"{ROOT}/recipes/dash/3b.sh grpo", "recipes/dash/3b.sh multi",
                       "recipes/adarft/7b_easy.sh adarft", "recipes/cpu/grpo.sh", "own.sh")
    }  # fmt: skip
    assert list(limits.values()) == [25966, 25966, 25966, 2314, 1800, 1800]
    sync = next(check for check in CHECKS if check.name == "sync")
    assert seconds_of(sync, Context("", "recipes/dash/3b.sh grpo", (), 4)) == 600


def test_seconds_of_a_step_are_those_of_the_campaigns_hours():
    steps = {"dots": 60, "adarft": 100, "e3": 459, "dash": 87}
    campaign, _ = read_rows(TABLE, None)
    for row in campaign:
        for method, hours in row.hours.items():
            found = step_seconds(f"recipes/{row.recipe}.sh {method}")
            assert found * steps[row.recipe.split("/")[0]] / 3600 == pytest.approx(hours)


def test_what_a_start_refuses_of_the_environment_fails_the_engine_too(tmp_path, monkeypatch, own_environment):
    """SLURM sets two variables that hide devices, which a start puts right before it looks at the folder."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    monkeypatch.setenv("ROCR_VISIBLE_DEVICES", "0")
    monkeypatch.setenv("RAY_TMPDIR", "/no/such/folder")
    with pytest.raises(CheckFailed, match="RAY_TMPDIR=/no/such/folder: there is no such folder") as failed:
        engine.engine(Context(str(tmp_path), "r", ("device=cpu",), 0))
    assert failed.value.fix and "ROCR_VISIBLE_DEVICES" not in os.environ


def test_packages_that_are_missing_are_installed_by_the_lock_of_the_engine(monkeypatch):
    monkeypatch.setattr(software, "requirements", lambda extra: [Requirement("no-such-package==1")])
    monkeypatch.setattr(Context, "engine", property(lambda context: context.recipe))
    found = {
        name: software.versions(Context("", name, ("device=cpu",) if name == "hf" else (), 0))[0].fix
        for name in ("hf", "vllm", "sglang")
    }
    lock = "pip install --no-deps -r recipes/locks"
    assert found == {
        "hf": "pip install --constraint recipes/locks/cpu.txt --editable .",
        "vllm": f"{lock}/gpu.txt", "sglang": f"{lock}/sglang.txt",
    }  # fmt: skip


def test_packages_of_a_lock_that_are_absent_are_told_on_gpus_where_all_of_it_is_installed(tmp_path, monkeypatch):
    lock = tmp_path / "recipes/locks/gpu.txt"
    lock.parent.mkdir(parents=True)
    lock.write_text("no-such-package==1\nother-machine==1 ; platform_machine == 'none'\n")
    monkeypatch.setattr(software, "ROOT", tmp_path)
    monkeypatch.setattr(software, "lock_of", lambda context: lock)
    monkeypatch.setattr(Context, "engine", property(lambda context: "vllm"))
    outcomes = {}
    for device, overrides in (("cpu", ("device=cpu",)), ("cuda", ())):
        row = software.versions(Context("", "r", overrides, 0))[1]
        outcomes[device] = (row.outcome, row.value)
    assert outcomes == {"cpu": ("pass", "0 fit"), "cuda": ("fail", "no-such-package==1 is missing")}


def test_questions_are_told_of_where_they_stay(tmp_path, capfd):
    context = Context(str(tmp_path), "r", ("device=cpu",), 0)
    assert (context.questions() / "train.parquet").is_file()
    told = capfd.readouterr()
    assert ".part" not in told.out + told.err


def test_a_lock_is_read_without_hashes_and_options():
    text = "--index-url https://x\n# a\ntorch==2.11.0 --hash=sha256:1 \\\n    --hash=sha256:2\nray==2.60.0  # why\n\n"
    assert [str(each) for each in software.locked(text)] == ["torch==2.11.0", "ray==2.60.0"]


def test_memory_of_a_gpu_fails_where_a_need_is_above_it():
    needs = Footprint(update=50 * GB, rollouts=90 * GB, host=0, checkpoint=0, sequences=0, longest=4_096, whole=1)
    outcomes = {row.check.split(",")[0]: row.outcome for row in hardware.memory_rows(needs, 85 * GB, 0.9)}
    assert outcomes == {
        "memory of the update": "pass",
        "memory of the rollouts": "fail",
        "longest responses in the engine's cache": "fail",
        "sequences of 4": "pass",
    }


def test_time_is_shared_out_and_multiplied_without_the_first_step():
    """Steps 2 and 3 take 20 s and 30 s without the save of 10 s; rollouts are 15 + 10 of their 50 s."""
    told = {
        1: {"timing_s/step": 500.0},
        2: {"timing_s/step": 20.0, "timing_s/gen": 15.0, "timing_s/update_actor": 5.0},
        3: {
            "timing_s/step": 40.0, "timing_s/gen": 10.0, "timing_s/update_actor": 10.0,
            "timing_s/save_checkpoint": 10.0, "timing_s/testing": 8.0,
        },
    }  # fmt: skip
    trainer = OmegaConf.create({"total_training_steps": 60, "save_freq": 20, "test_freq": 2})
    step, saving, hours, signal = (row.value for row in life.time_rows("r", told, trainer))
    assert step == "25.0 s: rollouts 50%, update 30%"
    assert saving == "10.00 s, 8.00 s"
    assert hours == "0.49 h"  # 60 x 25 + 3 x 10 + 30 x 8 = 1,770 s
    # 1.5 x (30 + 10 + 8) + 60 = 132 s, in whole minutes
    assert signal == "--signal=B:USR1@180"


def test_a_job_is_asked_to_stop_two_minutes_before_its_limit_at_least():
    assert life.signal_seconds(1.0, 0.1, 0.0) == 120
    assert life.signal_seconds(400.0, 60.0, 100.0) == 900  # 1.5 x 560 + 60


def test_the_save_that_is_timed_lies_beside_the_recipes_run_folder():
    folder = life.beside(Path("/disk/runs/grpo-seed1"))
    assert folder == Path("/disk/runs/grpo-seed1.doctor")
    context = Context("/tmp/work", "r", ("trainer.default_local_dir=runs/x", "trainer.save_freq=20"), 0)
    for saves, often in ((True, 3), (False, -1)):
        given = dict(each.split("=") for each in life.recipe_overrides(context, folder, saves))  # the last one counts
        assert given["trainer.save_freq"] == str(often) and given["trainer.default_local_dir"] == str(folder)
        assert given["trainer.total_training_steps"] == "3"


@pytest.mark.usefixtures("cpu_environment")
@pytest.mark.parametrize(("free", "saves"), [(10**9, True), (1000, False)])
def test_a_disk_without_room_for_a_checkpoint_has_no_save_and_a_row_says_so(tmp_path, monkeypatch, free, saves):
    """The tiny model's checkpoint has some MB."""
    given = []
    tiny = Context(str(tmp_path), "r", ("device=cpu",), 0).tiny_model()
    context = Context(
        str(tmp_path), "r",
        ("device=cpu", f"actor_rollout_ref.model.path={tiny}", f"data.train_files={__file__}",
         f"trainer.default_local_dir={tmp_path}/recipe", "trainer.total_training_steps=60"), 0,
    )  # fmt: skip
    steps = {step: {"timing_s/step": 20.0, "timing_s/save_checkpoint": 5.0 * (step == 3) * saves} for step in (1, 2, 3)}

    def train(overrides, folder, log):
        given.extend(overrides)
        (folder / "global_step_3").mkdir(parents=True)
        return launching.Run(folder, steps, Watched())

    monkeypatch.setattr(life, "train", train)
    monkeypatch.setattr(life, "free_bytes", lambda folder: free)
    found = {row.check: row for row in life.stages(context)}
    assert f"trainer.save_freq={3 if saves else -1}" in given
    assert found["three steps of r: saving, validation"].value == f"{5 * saves:.2f} s, 0.00 s"
    assert ("three steps of r: time of a save" in found) is not saves
    if not saves:
        told = found["three steps of r: time of a save"]
        assert told.outcome == "skipped" and "neither hours nor --signal" in told.value
    assert not (tmp_path / "recipe.doctor").exists()


@pytest.mark.usefixtures("cpu_environment")
@pytest.mark.parametrize(
    ("nodes", "variable", "address", "starts"),
    [(1, "", "null", True), (2, "", "null", False), (2, "10.0.0.1:6379", "null", True), (2, "", "10.0.0.1:6379", True)],
)
def test_a_recipe_of_several_nodes_is_trained_only_in_a_cluster(
    nodes, variable, address, starts, tmp_path, monkeypatch
):
    """A Ray that the doctor started itself would have one node, and the start would refuse it."""
    monkeypatch.setenv("RAY_ADDRESS", variable)
    given = (f"trainer.nnodes={nodes}", f"+ray_kwargs.ray_init.address={address}", "data.train_files=/nowhere.parquet")
    [row] = life.stages(Context(str(tmp_path), "r", ("device=cpu", *given), 0))
    assert row.outcome == "skipped" and ("/nowhere.parquet is not there" in row.value) is starts
    assert ("several nodes: start Ray on all 2 and set RAY_ADDRESS" in row.value) is not starts


def test_json_can_be_read_back_and_tells_what_it_is_of():
    found = rows.as_json([rows.Row("a", "b")], {"commit": "c"})
    assert json.loads(json.dumps(found)) == found and found["about"] == {"commit": "c"}
