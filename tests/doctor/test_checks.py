"""What the checks make of what they find; each part without a run."""

import json
from pathlib import Path

import pytest
from omegaconf import OmegaConf
from packaging.requirements import Requirement

from verl_dots.doctor import control_groups, hardware, launching, life, rows, running, software
from verl_dots.doctor.checks import CHECKS, needed_by
from verl_dots.doctor.context import Context
from verl_dots.doctor.footprint import Footprint
from verl_dots.doctor.running import Check, chosen, run_check
from verl_dots.doctor.stage_memory import Watched
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
    assert software._toolkit().outcome == "skipped"
    driver = software._driver()
    assert (driver.outcome, driver.fix) == ("fail", "bash scripts/install_gpu.sh") and "no CUDA" in driver.value


def test_packages_that_are_missing_are_installed_by_the_script_of_the_engine(monkeypatch):
    monkeypatch.setattr(software, "requirements", lambda extra: [Requirement("no-such-package==1")])
    monkeypatch.setattr(Context, "engine", property(lambda context: context.recipe))
    found = {
        name: software.versions(Context("", name, ("device=cpu",) if name == "hf" else (), 0))[0].fix
        for name in ("hf", "vllm", "sglang")
    }
    script = "bash scripts/install_gpu.sh"
    assert found == {"hf": "pip install -e .", "vllm": script, "sglang": f"LOCK=sglang {script}"}


def test_questions_are_told_of_where_they_stay(tmp_path, capfd):
    context = Context(str(tmp_path), "r", ("device=cpu",), 0)
    assert (context.questions() / "train.parquet").is_file()
    told = capfd.readouterr()
    assert ".part" not in told.out + told.err


def test_a_lock_is_read_without_hashes_and_options():
    text = "--index-url https://x\n# a\ntorch==2.11.0 --hash=sha256:1 \\\n    --hash=sha256:2\nray==2.60.0  # why\n\n"
    assert [str(each) for each in software.locked(text)] == ["torch==2.11.0", "ray==2.60.0"]


def test_the_limits_of_all_control_groups_count(tmp_path, monkeypatch):
    """SLURM's limit is in the job's group, above that of the step."""
    own = tmp_path / "cgroup"
    own.write_text("0::/job_1/step_0\n")
    step = tmp_path / "top" / "job_1" / "step_0"
    step.mkdir(parents=True)
    for folder, most, used, cores in ((step, "max", 1000, "max"), (step.parent, "5000", 2000, "150000")):
        (folder / "memory.max").write_text(f"{most}\n")
        (folder / "memory.current").write_text(f"{used}\n")
        (folder / "cpu.max").write_text(f"{cores} 100000\n")
    assert [*control_groups.groups("cpu", own, tmp_path / "top")] == [step, step.parent, tmp_path / "top"]
    assert control_groups.free_memory(own, tmp_path / "top") == 3000
    monkeypatch.setattr(control_groups.os, "sched_getaffinity", lambda _: set(range(8)))
    assert control_groups.free_cores(own, tmp_path / "top") == 1.5
    assert control_groups.free_cores(tmp_path / "none", tmp_path) == 8


def test_control_groups_of_version_1_count_each_in_its_tree(tmp_path, monkeypatch):
    """As SLURM has them on older systems; without a limit memory has a number of its own, and cores have -1."""
    own, top = tmp_path / "cgroup", tmp_path / "top"
    own.write_text("9:memory:/slurm/job_1/step_0\n4:cpu,cpuacct:/slurm/job_1\n1:name=systemd:/\n0::/\n")
    job, cores = top / "memory" / "slurm" / "job_1", top / "cpu,cpuacct" / "slurm" / "job_1"
    for folder, most, used in ((job / "step_0", 9223372036854771712, 1000), (job, 7000, 3000)):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "memory.limit_in_bytes").write_text(f"{most}\n")
        (folder / "memory.usage_in_bytes").write_text(f"{used}\n")
    cores.mkdir(parents=True)
    (cores / "cpu.cfs_period_us").write_text("100000\n")
    (cores / "cpu.cfs_quota_us").write_text("250000\n")
    (cores.parent / "cpu.cfs_period_us").write_text("100000\n")
    (cores.parent / "cpu.cfs_quota_us").write_text("-1\n")
    monkeypatch.setattr(control_groups.os, "sched_getaffinity", lambda _: set(range(8)))
    assert control_groups.free_memory(own, top) == 4000
    assert control_groups.free_cores(own, top) == 2.5


def test_memory_of_a_gpu_fails_where_a_need_is_above_it():
    needs = Footprint(update=50 * GB, rollouts=90 * GB, host=0, checkpoint=0, sequences=0)
    outcomes = {row.check.split(",")[0]: row.outcome for row in hardware.memory_rows(needs, 85 * GB, 0.9)}
    assert outcomes == {
        "memory of the update": "pass",
        "memory of the rollouts": "fail",
        "longest responses in the engine's cache": "fail",
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


def test_json_can_be_read_back_and_tells_what_it_is_of():
    found = rows.as_json([rows.Row("a", "b")], {"commit": "c"})
    assert json.loads(json.dumps(found)) == found and found["about"] == {"commit": "c"}
