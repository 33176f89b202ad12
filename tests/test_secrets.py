"""Secrets that are not written down."""

import pytest

from verl_dots.secrets import hidden, hidden_word, is_secret, without_secrets


@pytest.mark.parametrize(
    "name",
    [
        "OPENAI_API_KEY",
        "HF_TOKEN",
        "AWS_SECRET_ACCESS_KEY",
        "PASSWORD",
        "CREDENTIALS",
        "env_vars.A_KEY",
        "judge.api_key",
    ],
)
def test_names_of_secrets(name):
    assert is_secret(name) and hidden({name: "x"}) == {name: "***"} and without_secrets({name: "x"}) == {}


@pytest.mark.parametrize(
    "name", ["data.prompt_key", "PATH", "eos_token", "max_token_len", "KEYBOARD", "tokenizer_path"]
)
def test_other_names(name):
    assert not is_secret(name) and hidden({name: "x"}) == {name: "x"} and without_secrets({name: "x"}) == {name: "x"}


def test_what_is_nested_and_words_of_a_command_line():
    given = {"ray_init": [{"env_vars": {"WANDB_API_KEY": "abc", "EMPTY_KEY": "", "A": 1}}]}
    assert hidden(given) == {"ray_init": [{"env_vars": {"WANDB_API_KEY": "***", "EMPTY_KEY": "", "A": 1}}]}
    assert hidden_word("+ray_kwargs.ray_init.runtime_env.env_vars.HF_TOKEN=abc=d").endswith("HF_TOKEN=***")
    assert hidden_word("data.prompt_key=prompt") == "data.prompt_key=prompt" and hidden_word("--key") == "--key"
