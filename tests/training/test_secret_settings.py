"""Settings that are named like secrets are refused before anything starts, Ray's own apart."""

import pytest
from omegaconf import OmegaConf

from tests.refusals import refused
from verl_dots.launch.compose import compose
from verl_dots.secrets import is_secret
from verl_dots.settings import flat
from verl_dots.training.secret_settings import refuse_secrets


@pytest.mark.parametrize(
    "key",
    [
        "reward.custom_reward_function.reward_kwargs.api_key",
        "reward.custom_reward_function.reward_kwargs.password",
        "reward.custom_reward_function.reward_kwargs.X_TOKEN",
        "reward.custom_reward_function.reward_kwargs.judge_api_key",
        "reward.custom_reward_function.reward_kwargs.headers.Authorization",
        "reward.custom_reward_function.reward_kwargs.api_key_2",
        "reward.custom_reward_function.reward_kwargs.judgeApiKey",
        "actor_rollout_ref.rollout.engine_kwargs.vllm.api_key",
        "secret",
    ],
)
@pytest.mark.parametrize("value", ["sk-live", "${oc.env:JUDGE}", 7, {"of": "sk-live"}])
def test_a_secret_is_refused_by_its_name_and_its_value_is_not_told(key, value):
    config = OmegaConf.create({"ray_kwargs": {}})
    OmegaConf.update(config, key, value, force_add=True)
    with refused(key, "excluded", "variable of the environment") as caught:
        refuse_secrets(config)
    assert "sk-live" not in str(caught.value)


def test_what_ray_gets_and_what_is_no_secret_passes():
    variables = {"WANDB_API_KEY": "abc", "A": 1}
    refuse_secrets(
        OmegaConf.create(
            {
                "ray_kwargs": {"ray_init": {"runtime_env": {"env_vars": variables}, "password": "abc"}},
                "data": {"prompt_key": "prompt", "max_token_len": 3},
                "reward": {"custom_reward_function": {"reward_kwargs": {"api_key": None, "password": ""}}},
            }
        )
    )


KWARGS = "reward.custom_reward_function.reward_kwargs"
ENVIRONMENT = "ray_kwargs.ray_init.runtime_env.env_vars"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (f"{KWARGS}.header", f"${{{ENVIRONMENT}.JUDGE_API_KEY}}"),
        (f"{KWARGS}.header", f"Bearer ${{{ENVIRONMENT}.JUDGE_API_KEY}}"),
        (f"{KWARGS}.header", "${ray_kwargs.step}"),  # by way of another setting of Ray's
        (f"{KWARGS}.headers", [f"${{{ENVIRONMENT}.JUDGE_API_KEY}}"]),
        (f"{KWARGS}.given", f"${{{ENVIRONMENT}}}"),
        (f"{KWARGS}.header", "${oc.env:JUDGE_API_KEY}"),
        (f"{KWARGS}.header", "${oc.env:'JUDGE_API_KEY',none}"),
        (f"{ENVIRONMENT}.JUDGE", "${oc.env:JUDGE_API_KEY}"),
    ],
)
def test_a_secret_under_an_innocent_name_is_refused(monkeypatch, key, value):
    monkeypatch.setenv("JUDGE_API_KEY", "sk-live")
    config = OmegaConf.create()
    OmegaConf.update(config, f"{ENVIRONMENT}.JUDGE_API_KEY", "sk-live", force_add=True)
    OmegaConf.update(config, "ray_kwargs.step", f"${{{ENVIRONMENT}.JUDGE_API_KEY}}", force_add=True)
    OmegaConf.update(config, key, value, force_add=True)
    with refused(key, "excluded", "variable of the environment") as caught:
        refuse_secrets(config)
    assert "sk-live" not in str(caught.value)


def test_values_that_name_others_pass_where_these_are_no_secrets(monkeypatch):
    monkeypatch.setenv("PLACE", "here")
    monkeypatch.setenv("A_KEY", "abc")
    config = OmegaConf.create({"data": {"a": "${ray_kwargs.n}", "b": "${nowhere.at.all}", "c": "${oc.env:PLACE}"}})
    config.data.nan, config.data.again = float("nan"), "${data.nan}"
    config.ray_kwargs = {
        "n": 2,
        "HF_TOKEN": "",
        "A_KEY": "${oc.env:A_KEY}",
        "inner": "${ray_kwargs.A_KEY}",
        "secret": {"of": "${oc.env:A_KEY}"},
    }
    config.data.empty = "${ray_kwargs.HF_TOKEN}"
    config.data.begun = "at-${now:%H%M%S_%f}"  # another text each time that it is read
    config.ray_kwargs.env_vars = {"JUDGE_API_KEY": "sk-live"}
    config.data.huge, config.data.listed = 10**5000, [10**5000, "${ray_kwargs.n}"]  # no text of so many digits
    refuse_secrets(config)


@pytest.mark.usefixtures("cpu_environment")
def test_no_setting_of_a_run_by_default_is_named_like_a_secret():
    config = compose(["device=cpu"])
    assert [name for name in flat(OmegaConf.to_container(config)) if is_secret(name)] == []
    refuse_secrets(config)
