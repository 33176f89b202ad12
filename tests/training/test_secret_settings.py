"""Settings that are named like secrets are refused before anything starts, Ray's own apart."""

import pytest
from omegaconf import OmegaConf

from tests.refusals import refused
from verl_dots.training.secret_settings import refuse_secrets


@pytest.mark.parametrize(
    "key",
    [
        "reward.custom_reward_function.reward_kwargs.api_key",
        "reward.custom_reward_function.reward_kwargs.password",
        "reward.custom_reward_function.reward_kwargs.X_TOKEN",
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
