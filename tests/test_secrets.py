"""Secrets that are not written down."""

import json

import pytest

from verl_dots.secrets import (
    hidden,
    hidden_word,
    is_secret,
    secret_names,
    secret_values,
    without,
    without_secrets,
)


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
        "judge_api_key",
        "openai_api_key",
        "auth_token",
        "x.client_secret",
        "db_password",
        "aws_secret_access_key",
        "service_credentials",
        "apiKey",
        "X-Api-Key",
        "Authorization",
        "OPENAI_API_KEY_2",
        "HF_TOKEN1",
        "env_vars.A_KEY_10",
        "judge.api_key_2",
        "api-key-2",
        "password2",
        "client_secret_1",
        "judgeApiKey",
        "judgeApiKey2",
        "judge2ApiKey",
        "HTTPAuthToken",
        "dbPassword",
        "awsSecretAccessKey",
        "passWord",
    ],
)
def test_names_of_secrets(name):
    assert is_secret(name) and hidden({name: "x"}) == {name: "***"} and without_secrets({name: "x"}) == {}


@pytest.mark.parametrize(
    "name",
    [
        "data.prompt_key",
        "data.reward_fn_key",
        "PATH",
        "eos_token",
        "max_token_len",
        "KEYBOARD",
        "tokenizer_path",
        "author",
        "token2text",
        "secretary",
        "teacher_key",
        "MAX_TOKENS",
        "KEY_2_PATH",
        "promptKey",
        "prompt_key_2",
        "eosToken",
        "eos_token_2",
        "maxTokenLen",
        "MonKey",
        "passwordless",
    ],
)
def test_other_names(name):
    assert not is_secret(name) and hidden({name: "x"}) == {name: "x"} and without_secrets({name: "x"}) == {name: "x"}


def test_what_is_nested_and_words_of_a_command_line():
    given = {"ray_init": [{"env_vars": {"WANDB_API_KEY": "abc", "EMPTY_KEY": "", "A": 1}}]}
    assert hidden(given) == {"ray_init": [{"env_vars": {"WANDB_API_KEY": "***", "EMPTY_KEY": "", "A": 1}}]}
    assert hidden_word("+ray_kwargs.ray_init.runtime_env.env_vars.HF_TOKEN=abc=d").endswith("HF_TOKEN=***")
    assert hidden_word("data.prompt_key=prompt") == "data.prompt_key=prompt" and hidden_word("--key") == "--key"


@pytest.mark.parametrize(
    "word",
    [
        "+ray_kwargs.ray_init.runtime_env.env_vars={WANDB_API_KEY:abc}",
        "ray_kwargs.ray_init.runtime_env.env_vars={A: 1, WANDB_API_KEY : 'a,}bc'}",
        '+ray_kwargs.ray_init={runtime_env:{env_vars:{A:1,HF_TOKEN:"abc"}}}',
        "++x=[{judge.api_key:abc}]",
    ],
)
def test_a_dict_on_a_command_line_that_holds_a_secret_is_hidden(word):
    assert hidden_word(word) == f"{word.partition('=')[0]}=***"


def test_a_dict_without_a_secret_is_shown():
    word = "+ray_kwargs.ray_init.runtime_env.env_vars={A:1,PATH:/x:/y}"
    assert hidden_word(word) == word and hidden_word("a=${oc.env:KEY}") == "a=${oc.env:KEY}"


def test_the_names_of_what_is_hidden():
    given = {"a": {"api_key": "x", "b": [{"HF_TOKEN": "y", "n": 1}], "password": None}, "secret": {"of": "z"}, "c": 3}
    assert secret_names(given) == ["a.api_key", "a.b.0.HF_TOKEN", "secret"]
    assert secret_names({"x_key": "prompt", "d": []}) == secret_names("text") == secret_names(None) == []


def test_values_are_found_and_hidden_in_a_text_in_each_form():
    values = secret_values(
        {"env_vars": {"A_KEY": "a'b\"\n", "B_TOKEN": 7, "C_KEY": "", "D": "x"}, "l": [{"password": "p"}]}
    )
    assert values == ["a'b\"\n", "7", "p"] and secret_values("text") == []
    assert without(str({"A_KEY": values[0]}) + values[0], values[:1]) == "{'A_KEY': '***'}***"
    assert without(json.dumps({"A_KEY": values[0]}), values[:1]) == '{"A_KEY": "***"}'
    assert without("abc ab", ["ab", "abc", ""]) == "*** ***"
