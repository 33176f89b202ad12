"""The config of a run as hydra composes it."""

import pytest
import yaml
from hydra._internal.config_repository import ConfigRepository
from omegaconf import OmegaConf

from tests.launches import ROOT
from tests.refusals import refused
from verl_dots.launch.compose import compose


def test_what_libyaml_reads_is_what_python_reads(monkeypatch):
    again = compose(["device=cpu", "dots.preset=all"])
    # conftest.py keeps what was read before.
    monkeypatch.setattr(ConfigRepository, "load_config", ConfigRepository.load_config.__wrapped__)
    by_c, safe = compose(["device=cpu", "dots.preset=all"]), yaml.SafeLoader
    monkeypatch.delattr(yaml, "CSafeLoader")
    assert compose(["device=cpu", "dots.preset=all"]) == by_c == again
    assert yaml.SafeLoader is safe


@pytest.mark.parametrize(
    ("added", "meant"),
    [
        ("+trainer.save_frequ=5", "trainer.save_freq"),
        ("+actor_rollout_ref.actor.clip_rato=0.3", "actor_rollout_ref.actor.clip_ratio"),
    ],
)
def test_a_key_that_is_added_beside_one_of_nearly_its_name_is_refused(added, meant):
    key = added[1:].partition("=")[0]
    with refused(key, "unknown", f"did you mean {meant}?"):
        compose(["device=cpu", added])
    assert OmegaConf.select(compose(["device=cpu", f"+{added}"]), key) is not None


def test_a_value_beside_all_groups_is_refused_where_it_is_not_meant():
    with refused("foo", "unknown", "+foo=1", "write ++foo=1"):
        compose(["device=cpu", "+foo=1"])
    assert compose(["device=cpu", "++foo=1"]).foo == 1


@pytest.mark.parametrize(
    "added",
    [
        "+actor_rollout_ref.model.override_config.max_position_embeddings=512",
        "+actor_rollout_ref.rollout.engine_kwargs.vllm.kv_cache_memory_bytes=1",
        "+data.apply_chat_template_kwargs.prefix=x",
        "+mine.own=1",
    ],
)
def test_other_keys_may_be_added(added):
    key, value = added[1:].split("=")
    assert str(OmegaConf.select(compose(["device=cpu", added]), key)) == value


def test_the_folder_of_the_user_is_meant_wherever_a_path_is(monkeypatch):
    monkeypatch.setenv("HOME", "/home/her")
    config = compose(
        [
            "device=cpu", "trainer.default_local_dir=~/runs/mine", "trainer.resume_from_path='~/runs/global_step_5'",
            "data.train_files=[~/a.parquet,~/b.parquet]", "+mine.note='a~/b'",
        ]
    )  # fmt: skip
    assert config.trainer.default_local_dir == "/home/her/runs/mine"
    assert config.trainer.resume_from_path == "/home/her/runs/global_step_5"
    assert list(config.data.train_files) == ["/home/her/a.parquet", "/home/her/b.parquet"]
    assert config.mine.note == "a~/b"


@pytest.mark.parametrize(("given", "tokens"), [([], 32768), (["critic.ppo_max_token_len_per_gpu=9000"], 9000)])
def test_the_updates_of_a_critic_are_cut_by_the_key_that_names_their_limit(given, tokens, cpu_environment):
    """verl's V1 trainer reads another one for them, which no file of verl's sets; of its dataclass it is 32,768."""
    from verl.utils.config import omega_conf_to_dataclass

    critic = compose(["device=cpu", f"critic.model.path={ROOT}/recipes/cpu/tiny_model", *given]).critic
    assert omega_conf_to_dataclass(critic).ppo_infer_max_token_len_per_gpu == tokens
