"""From which checkpoint a run resumes, and what it refuses to resume from."""

import json
import logging
import os
import pickle
import shutil
from dataclasses import replace

import pytest
import torch
from omegaconf import OmegaConf
from torchdata.stateful_dataloader import StatefulDataLoader

from tests.refusals import refused
from tests.run_on_disk import own_checkpoint, run_config, stock_checkpoint
from verl_dots import manifest
from verl_dots.checkpoints import RECORD, TRACKER, tracked, write_tracker
from verl_dots.manifest import write_manifest
from verl_dots.state import load_state, save_state
from verl_dots.training.in_flight import FILE, KIND, InFlight
from verl_dots.training.resume import find_checkpoint, repair_tracker
from verl_dots.training.run_record import KIND as RUN


@pytest.fixture
def run(tmp_path):
    """A run folder beside its data and model."""
    (tmp_path / "train.parquet").write_bytes(b"rows")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text('{"hidden_size": 8}')
    (tmp_path / "model" / "model.safetensors").write_bytes(b"weights")
    (tmp_path / "run").mkdir()
    return tmp_path / "run"


@pytest.fixture
def saved(run):
    """The same with a checkpoint of step 4."""
    own_checkpoint(run, 4)
    return run


def found_name(run, **changes):
    found = find_checkpoint(run_config(run, **changes))
    return None if found is None else found.name


def test_a_new_folder_begins_at_the_start(run):
    assert found_name(run) is None
    assert found_name(run / "not there") is None


def test_the_newest_complete_one_is_taken_and_the_others_are_named(run, caplog):
    for step in (2, 4, 6):
        own_checkpoint(run, step)
    (run / "global_step_6" / "data.pt").unlink()
    assert found_name(run) == "global_step_4"
    assert "global_step_4 is the newest complete checkpoint; left out: global_step_6 (data.pt" in caplog.text


@pytest.fixture
def read(monkeypatch):
    """Names of the files whose contents are compared from now on."""
    names, compare = [], manifest._other_content

    def noted(file, checksum, name):
        names.append(f"{file.relative_to(file.parents[len(name.split('/'))])}")
        return compare(file, checksum, name)

    monkeypatch.setattr(manifest, "_other_content", noted)
    return names


def spoil(file):
    """Another byte in the middle, and the same size."""
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


SHARD = "actor/optim_world_size_1_rank_0.pt"


@pytest.mark.parametrize("mode", ["auto", "resume_path"])
def test_the_trainer_does_not_read_again_what_its_command_has_just_read(run, read, mode):
    for step in (2, 4):
        own_checkpoint(run, step)
    given = {"trainer__resume_from_path": str(run / "global_step_4")} if mode == "resume_path" else {}
    config = run_config(run, trainer__resume_mode=mode, **given)
    found = find_checkpoint(config)
    repair_tracker(config, found)
    assert f"global_step_4/{SHARD}" in read and not [name for name in read if "step_2" in name]
    read.clear()
    assert find_checkpoint(config, claimed=True) == found and read == []


def test_of_what_the_command_has_left_out_the_trainer_reads_the_contents_again(run, read):
    for step in (2, 4):
        own_checkpoint(run, step)
    spoil(run / "global_step_4" / SHARD)
    config = run_config(run)
    found = find_checkpoint(config)
    repair_tracker(config, found)
    read.clear()
    assert find_checkpoint(config, claimed=True) == found == run / "global_step_2"
    assert f"global_step_4/{SHARD}" in read and not [name for name in read if "step_2" in name]


def test_a_checkpoint_that_is_cut_short_after_its_contents_were_read_is_left_out(run):
    for step in (2, 4):
        own_checkpoint(run, step)
    config = run_config(run)
    repair_tracker(config, find_checkpoint(config))
    shard = run / "global_step_4" / SHARD
    shard.write_bytes(shard.read_bytes()[:-1])
    assert find_checkpoint(config, claimed=True).name == "global_step_2"


@pytest.mark.parametrize("content", [None, b"", b"\0\0\0", b"many", b"80", b"2"])
def test_the_tracker_decides_nothing_and_is_mended(run, content):
    """None: written by nobody, as with async_save=True. 80 is gone, 2 is older than what is there."""
    own_checkpoint(run, 2)
    own_checkpoint(run, 4)
    (run / TRACKER).unlink()
    if content is not None:
        (run / TRACKER).write_bytes(content)
    config = run_config(run)
    found = find_checkpoint(config)
    assert found.name == "global_step_4"
    repair_tracker(config, found)
    assert (run / TRACKER).read_text() == "4"


@pytest.mark.parametrize(
    "gone", ["data.pt", "actor/optim_world_size_1_rank_0.pt", "actor", "config.yaml", "run.state", "replay.safetensors"]
)
def test_a_run_without_a_complete_checkpoint_is_refused_with_names_and_ways_out(run, gone):
    config = run_config(run, dots__replay__enable=True)
    folder = own_checkpoint(run, 4, config, states=("replay",))
    path = folder / gone
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    ways_out = [f"trainer.{way}" for way in ("resume_mode=disable", "default_local_dir", "resume_mode=resume_path")]
    with refused(str(run), "file", "global_step_4 (", *ways_out):
        find_checkpoint(config)
    assert found_name(run, dots__replay__enable=True, trainer__resume_mode="disable") is None


@pytest.mark.parametrize(
    "text", ["", "[]", "null", "trainer: {}\ndots: []", "trainer: {}\ndots: {replay: {enable: true}}"]
)
def test_settings_that_no_run_has_written_make_no_complete_checkpoint(run, text):
    own_checkpoint(run, 2)
    folder = own_checkpoint(run, 4)
    (folder / "config.yaml").write_text(text)
    write_manifest(folder, 4)  # whoever wrote them also listed them
    assert found_name(run) == "global_step_2"


@pytest.mark.parametrize("listed", [False, True])
def test_a_wrong_key_of_saved_settings_is_damage_of_the_file_and_no_fault_of_the_command(run, listed, caplog):
    config = run_config(run, dots__replay__enable=True)
    for step in (2, 4):
        folder = own_checkpoint(run, step, config, states=("replay",))
    settings = folder / "config.yaml"
    settings.write_text(settings.read_text().replace("enable: true", "dnable: true"))
    if listed:
        write_manifest(folder, 4)
    assert find_checkpoint(config).name == "global_step_2"
    assert "left out: global_step_4 (config.yaml" in caplog.text


@pytest.mark.parametrize("left", ["nothing", "replay.safetensors", "run.state", "data.pt"])
def test_a_run_that_was_killed_in_its_first_save_begins_anew(run, left, caplog):
    """Neither the list of files nor the tracker is there, which come last: no checkpoint was ever complete."""
    config = run_config(run, dots__replay__enable=True)
    folder = own_checkpoint(run, 4, config, states=("replay",))
    for file in [file for file in folder.rglob("*") if file.is_file() and (file.name != left or left == "nothing")]:
        file.unlink()
    with refused(str(run), "file", TRACKER, "4"):  # the tracker knows of one
        find_checkpoint(config)
    (run / TRACKER).unlink()
    assert find_checkpoint(config) is None
    assert "ended in its first save (global_step_4 (" in caplog.text
    own_checkpoint(run, 2, config, states=("replay",))
    (run / TRACKER).unlink()
    assert find_checkpoint(config).name == "global_step_2"


def test_a_tracker_without_checkpoints_is_no_new_run_either(run):
    (run / TRACKER).write_text("20")
    with refused(str(run), "file", TRACKER, "20"):
        find_checkpoint(run_config(run))


@pytest.mark.parametrize(
    "key, there, here",
    [
        ("dots.seed", 1, 2),
        ("data.seed", 1, 2),
        ("data.train_batch_size", 8, 16),
        ("algorithm.adv_estimator", "grpo", "rloo"),
        ("actor_rollout_ref.actor.optim.lr", 1e-6, 1e-5),
        ("actor_rollout_ref.rollout.n", 4, 8),
        ("actor_rollout_ref.rollout.temperature", 1.0, 0.7),
        ("dots.replay.enable", False, True),
    ],
)
def test_another_seed_or_method_is_refused_with_key_and_both_values(saved, key, there, here):
    with refused(key, "other run", f"{there!r} there, {here!r} here"):
        found_name(saved, **{key.replace(".", "__"): here})


def test_every_changed_setting_is_named_at_once(saved):
    with refused("data.seed", "other run", "data.seed: 1 there, 2 here; dots.seed: 1 there, 3 here"):
        found_name(saved, dots__seed=3, data__seed=2)


def test_what_may_change_is_logged_in_one_line(saved, caplog):
    changes = {
        "trainer__total_training_steps": 8, "trainer__save_freq": 1, "trainer__experiment_name": "longer",
        "dots__preset": "dots", "dots__replay__capacity": 9, "actor_rollout_ref__rollout__val_kwargs__n": 4,
    }  # fmt: skip
    with caplog.at_level(logging.WARNING):
        assert found_name(saved, **changes) == "global_step_4"
    (told,) = [record.getMessage() for record in caplog.records]
    assert "trainer.total_training_steps: 4 -> 8" in told
    assert all(key.replace("__", ".") in told for key in changes)


@pytest.mark.parametrize("there", ["***", "sk-old", ""])
@pytest.mark.parametrize("here", ["sk-live", "***", ""])
def test_a_secret_refuses_no_resume_and_is_not_told(run, caplog, there, here):
    """Checkpoints hold `***` in its place, as of earlier versions, which took secrets as settings."""
    keys = ("reward__custom_reward_function__reward_kwargs__api_key", "actor_rollout_ref__rollout__HF_TOKEN")
    own_checkpoint(run, 4, run_config(run, **dict.fromkeys(keys, there)))
    named = {"data__url": "${actor_rollout_ref.rollout.HF_TOKEN}/v1"}
    with caplog.at_level(logging.WARNING):
        assert found_name(run, **dict.fromkeys(keys, here), **named) == "global_step_4"
    assert "data.url: '(not set)' -> " in caplog.text
    assert "sk-" not in caplog.text


def test_a_setting_of_a_method_counts_where_the_method_is_on(run):
    on = {"dots__replay__enable": True}
    own_checkpoint(run, 4, run_config(run, **on), states=("replay",))
    with refused("dots.replay.capacity", "other run", "8 there, 9 here"):
        found_name(run, **on, dots__replay__capacity=9)


def test_a_setting_that_an_earlier_version_called_otherwise_is_compared_under_its_name_of_now(run):
    own_checkpoint(run, 4, run_config(run, dots__adarft={"enable": True, "alpha": 2.0}), states=("adarft",))
    assert found_name(run, dots__adarft={"enable": True, "sensitivity": 2.0}) == "global_step_4"
    with refused("dots.adarft.sensitivity", "other run", "2.0 there, 3.0 here"):
        found_name(run, dots__adarft={"enable": True, "sensitivity": 3.0})


def test_data_and_model_are_the_same_wherever_they_lie(saved):
    root = saved.parent
    (root / "train.parquet").rename(root / "moved.parquet")
    (root / "model").rename(root / "elsewhere")
    moved = {"data__train_files": f"{root}/moved.parquet", "actor_rollout_ref__model__path": f"{root}/elsewhere"}
    assert found_name(saved, **moved) == "global_step_4"
    (root / "moved.parquet").write_bytes(b"rowz")
    with refused("data.train_files", "other run", "train.parquet (content ", "moved.parquet"):
        found_name(saved, **moved)


@pytest.mark.parametrize(
    "file, content",
    [
        ("config.json", b'{"hidden_size": 16}'), ("model.safetensors", b"WEIGHTS"), ("added_tokens.json", b"{}"),
        ("modeling_own.py", b"one = 1"), ("spiece.model", b"words"), ("generation_config.json", b"{}"),
    ],
)  # fmt: skip
def test_another_model_under_the_same_name_is_another_model(saved, file, content):
    (saved.parent / "model" / file).write_bytes(content)
    with refused("actor_rollout_ref.model.path", "other run"):
        found_name(saved)


def test_a_readme_makes_no_other_model(saved):
    (saved.parent / "model" / "README.md").write_text("text")
    assert found_name(saved) == "global_step_4"


@pytest.mark.usefixtures("cached_model")
def test_a_model_of_the_hub_is_the_same_on_a_machine_that_has_more_or_less_of_it(run):
    """A new machine has fetched its config alone when it looks; one that has it all may fetch more of it later."""
    place = run.parent / "hub/models--owner--model"
    model = {"actor_rollout_ref__model__path": "owner/model"}
    (place / "snapshots/1/model.safetensors").write_bytes(b"weights")
    (place / "snapshots/1/tokenizer.json").write_text("{}")
    own_checkpoint(run, 4, run_config(run, **model))
    (place / "snapshots/1/added_tokens.json").write_text("{}")
    assert found_name(run, **model) == "global_step_4"
    in_its_cache = {"actor_rollout_ref__model__path": str(place / "snapshots/1")}
    assert found_name(run, **in_its_cache) == "global_step_4"
    for file in ("model.safetensors", "tokenizer.json", "added_tokens.json"):
        (place / "snapshots/1" / file).unlink()
    assert found_name(run, **model) == "global_step_4"
    with refused("actor_rollout_ref.model.path", "other run", "'owner/model' there, 'owner/other' here"):
        found_name(run, actor_rollout_ref__model__path="owner/other")
    (place / "snapshots/1").rename(place / "snapshots/2")
    (place / "refs/main").write_text("2")
    (place / "snapshots/2/model.safetensors").write_bytes(b"weights")
    with refused("actor_rollout_ref.model.path", "other run", "owner/model (content 1)", "owner/model (content 2)"):
        found_name(run, **model)


@pytest.mark.parametrize(
    ("key", "file", "other"),
    [("tokenizer_path", "tokenizer.json", "model.safetensors"), ("hf_config_path", "config.json", "tokenizer.json")],
)
def test_another_tokenizer_or_config_is_another_model_wherever_it_lies(run, key, file, other):
    """Of a folder that gives one of them no other file counts."""
    one, two = run.parent / "one", run.parent / "two"
    for folder in (one, two):
        folder.mkdir()
        (folder / file).write_text("{}")
    (two / other).write_text("other")
    own_checkpoint(run, 4, run_config(run, **{f"actor_rollout_ref__model__{key}": str(one)}))
    assert found_name(run, **{f"actor_rollout_ref__model__{key}": str(two)}) == "global_step_4"
    with refused(f"actor_rollout_ref.model.{key}", "other run", f"{one}' there, None here"):
        found_name(run, **{f"actor_rollout_ref__model__{key}": None})
    (two / file).write_text("[]")
    with refused(f"actor_rollout_ref.model.{key}", "other run", f"{one} (content sha256 ", f"{two} (content sha256 "):
        found_name(run, **{f"actor_rollout_ref__model__{key}": str(two)})


def test_a_checkpoint_that_knew_models_otherwise_is_compared_by_their_names(saved):
    folder = saved / "global_step_4"
    record = load_state(folder / RECORD, RUN)
    record["fingerprints"]["actor_rollout_ref.model.path"] = "0" * 16
    save_state(folder / RECORD, replace(RUN, version=3), record)
    write_manifest(folder, 4)
    assert found_name(saved) == "global_step_4"
    with refused("actor_rollout_ref.model.path", "other run", "elsewhere' here"):
        found_name(saved, actor_rollout_ref__model__path=f"{saved.parent}/elsewhere")
    (saved.parent / "train.parquet").write_bytes(b"rowz")
    with refused("data.train_files", "other run", "(content "):  # files are known as ever
        found_name(saved)


def test_files_that_this_machine_does_not_have_are_known_by_their_names(run):
    gone = {"data__train_files": "hdfs://store/a.parquet"}
    own_checkpoint(run, 4, run_config(run, **gone))
    assert found_name(run, **gone) == "global_step_4"
    with refused("data.train_files", "other run", "'hdfs://store/a.parquet' there"):
        found_name(run, data__train_files="hdfs://store/b.parquet")


def test_stock_verls_checkpoint_is_taken_and_compared_with_the_run_folders_settings(run, caplog):
    stock_checkpoint(run, 4)
    assert found_name(run) == "global_step_4"
    assert "does not tell its settings" in caplog.text
    OmegaConf.save(run_config(run), run / "config.yaml")
    with refused("dots.seed", "other run", "1 there, 2 here"):
        found_name(run, dots__seed=2)


def test_another_number_of_ranks_is_refused(run):
    stock_checkpoint(run, 4, ranks=2)
    assert found_name(run, trainer__n_gpus_per_node=2) == "global_step_4"
    with refused("trainer.nnodes", "other run", "2 ranks", "has 4"):
        found_name(run, trainer__n_gpus_per_node=4)


def test_a_critic_is_needed_where_there_is_one(run):
    stock_checkpoint(run, 4)
    with refused(str(run), "file", "critic/"):
        found_name(run, algorithm__adv_estimator="gae")


def test_a_given_checkpoint_is_taken_or_refused_by_name(saved):
    own_checkpoint(saved, 2)
    write_tracker(saved, 4)

    def given(path, **changes):
        return found_name(saved, trainer__resume_mode="resume_path", trainer__resume_from_path=path, **changes)

    assert given(f"{saved}/global_step_2/") == "global_step_2" and tracked(saved) == 4
    with refused("dots.seed", "other run", "1 there, 2 here"):
        given(f"{saved}/global_step_2", dots__seed=2)
    for wrong in (None, str(saved), f"{saved}/global_step_80", f"{saved}/global_step_x"):
        with refused("trainer.resume_from_path", "file", str(wrong)):
            given(wrong)
    (saved / "global_step_4" / "data.pt").unlink()
    with refused("trainer.resume_from_path", "file", "global_step_4", "data.pt"):
        given(f"{saved}/global_step_4")


def test_a_synchronous_run_is_refused_a_checkpoint_with_groups_in_flight(run):
    key, asynchronous = "trainer.v1.trainer_mode", {"trainer__v1__trainer_mode": "colocate_async"}
    folder = own_checkpoint(run, 4, run_config(run, **asynchronous))
    save_state(folder / FILE, KIND, InFlight().state_dict())
    write_manifest(folder, 4)
    assert found_name(run, **asynchronous) == "global_step_4"
    for mode in ("dots", "sync"):
        with refused(key, "other run", f"{key}={mode} would", f"resume with {key}=colocate_async"):
            found_name(run, trainer__v1__trainer_mode=mode)
    assert found_name(run, trainer__resume_mode="disable") is None
    # The other way nothing is lost.
    own_checkpoint(run, 6)
    assert found_name(run, **asynchronous) == "global_step_6" == found_name(run)


def test_an_asynchronous_checkpoint_of_stock_verl_is_refused_by_either_mode_before_the_start(run):
    key = "trainer.v1.trainer_mode"
    folder = own_checkpoint(run, 4)
    (folder / "transfer_queue").mkdir()
    write_manifest(folder, 4)
    for mode in ("dots", "colocate_async"):
        with refused(
            key, "other run", "global_step_4 is of an asynchronous run of stock verl", f"{key}={mode} cannot train"
        ):
            found_name(run, trainer__v1__trainer_mode=mode)
    assert found_name(run, trainer__resume_mode="disable") is None


class Calls:
    """Makes a folder when it is read from a pickle."""

    def __init__(self, folder):
        self.folder = str(folder)

    def __reduce__(self):
        return os.mkdir, (self.folder,)


@pytest.mark.parametrize("how", ["link", "name", "critic"])
def test_no_way_around_the_look_at_a_checkpoints_files(run, how):
    """A link to another folder; a name in the queue's list that leads out of its folder; another model's shards."""
    changes = {"trainer__v1__trainer_mode": "colocate_async"}
    folder = own_checkpoint(run, 4, run_config(run, **changes))
    save_state(folder / FILE, KIND, InFlight().state_dict())
    queue, named = folder / "transfer_queue", [{"position": 0, "storage_unit_id": "x"}]
    (queue / "simple_storage").mkdir(parents=True)
    harmful, evil = pickle.dumps(Calls(run / "called")), folder / "actor" / "evil.pkl"
    evil.write_bytes(harmful)
    if how == "link":
        (queue / "simple_storage").rename(folder / "more")
        (queue / "simple_storage").symlink_to("../more")
        (folder / "more" / "su_0_x.pkl").write_bytes(harmful)
    elif how == "name":
        named[0]["storage_unit_id"] = "x/../../../actor/evil"
        (queue / "simple_storage" / "su_0_x").mkdir()
        assert (queue / "simple_storage" / "su_0_x/../../../actor/evil.pkl").read_bytes() == harmful
    else:
        shutil.copytree(folder / "actor", folder / "critic")
        torch.save(Calls(run / "called"), folder / "critic" / "model_world_size_1_rank_0.pt")
    (queue / "simple_storage" / "storage_unit_info.json").write_text(json.dumps(named))
    write_manifest(folder, 4)
    with refused("dots.trust_checkpoint", "excluded", str(folder)):
        found_name(run, **changes)
    assert found_name(run, **changes, dots__trust_checkpoint=True) == "global_step_4"
    assert not (run / "called").exists()


def test_groups_in_flight_of_a_later_version_make_no_checkpoint_to_resume_from(run, caplog):
    for step in (2, 4):
        folder = own_checkpoint(run, step)
    save_state(folder / FILE, replace(KIND, version=KIND.version + 1), InFlight().state_dict())
    write_manifest(folder, 4)
    assert found_name(run) == "global_step_2"
    assert f"left out: global_step_4 (state file {folder / FILE} is of version" in caplog.text


PLACE = StatefulDataLoader([4]).state_dict()


@pytest.mark.parametrize(
    "content",
    [
        {}, {"place": 4}, [1, 2], torch.ones(2), {"_snapshot": 3}, PLACE | {"_num_yielded": -1},
        PLACE | {"_num_yielded": "x"}, PLACE | {"_iterator_finished": None},
    ],
)  # fmt: skip
def test_a_file_in_the_data_loaders_place_that_is_not_its_state_makes_no_complete_checkpoint(run, content):
    stock_checkpoint(run, 2)
    folder = stock_checkpoint(run, 4)
    torch.save(content, folder / "data.pt")
    assert found_name(run) == "global_step_2"
    given = {"trainer__resume_mode": "resume_path", "trainer__resume_from_path": str(folder)}
    with refused("trainer.resume_from_path", "file", str(folder), "data.pt"):
        found_name(run, **given, dots__trust_checkpoint=True)


def test_a_data_loader_that_divides_its_work_otherwise_is_refused(run):
    folder, key = stock_checkpoint(run, 4), "data__dataloader_num_workers"
    assert found_name(run, **{key: 0}) == "global_step_4"
    with refused("data.dataloader_num_workers", "other run", str(folder), "with 0"):
        found_name(run, **{key: 1})
    torch.save(StatefulDataLoader(range(4), num_workers=1).state_dict(), folder / "data.pt")
    assert found_name(run, **{key: 1}) == "global_step_4"
    for workers in (0, 2):
        with refused("data.dataloader_num_workers", "other run", str(folder), "with 1"):
            found_name(run, **{key: workers})


def test_a_link_to_a_checkpoint_is_one_of_the_step_that_it_was_saved_at(saved):
    for name in ("global_step_4", "global_step_6"):
        stock_checkpoint(saved.parent / "elsewhere", int(name[-1]))
    (saved / "global_step_6").symlink_to("../elsewhere/global_step_6")
    assert found_name(saved) == "global_step_6"
    (saved / "global_step_6").unlink()
    (saved / "global_step_6").symlink_to("../elsewhere/global_step_4")
    assert found_name(saved) == "global_step_4"
    given = {"trainer__resume_mode": "resume_path", "trainer__resume_from_path": f"{saved}/global_step_6"}
    with refused("trainer.resume_from_path", "file", "step 4"):
        found_name(saved, **given)


def test_a_link_to_a_checkpoint_that_is_gone_is_refused_where_it_is_the_newest(run):
    """Else a run that was to begin at that step begins at another one, and nobody sees it."""
    link = run / "global_step_6"
    link.symlink_to("elsewhere/global_step_6")
    with refused(str(link), "file", "elsewhere/global_step_6", str(run)):
        found_name(run)
    own_checkpoint(run, 4)
    with refused(str(link), "file", "elsewhere/global_step_6"):
        found_name(run)
    own_checkpoint(run, 8)
    assert found_name(run) == "global_step_8"


@pytest.mark.parametrize(
    "name", ["global_step_04", "global_step_\u0664", "global_step_4/actor", "global_step_4/data.pt"]
)
def test_a_step_is_written_as_verl_reads_it(saved, name):
    """verl looks for global_step_4 whatever the folder is called, and begins anew where that is not there."""
    if "/" not in name:
        (saved / "global_step_4").rename(saved / name)
        assert found_name(saved.parent / "not there") is None
        with refused(str(saved), "file", TRACKER, "4"):
            found_name(saved)
    given = {"trainer__resume_mode": "resume_path", "trainer__resume_from_path": f"{saved}/{name}"}
    with refused("trainer.resume_from_path", "file", name):
        found_name(saved, **given)
