"""Models that come with code of their own."""

import json

import pytest

from tests.launches import plain_config
from tests.refusals import changed, refused
from verl_dots.launch.remote_code import FILES, check_remote_code

pytestmark = pytest.mark.usefixtures("cpu_environment")
KEY = "actor_rollout_ref.model.trust_remote_code"


CODE = ["stranger--code.Tokenizer", None]


@pytest.mark.parametrize(
    ("file", "named"),
    [
        ("config.json", {"AutoConfig": "stranger--code.Tokenizer", "AutoModelForCausalLM": "code.Model"}),
        ("config.json", {"AutoTokenizer": CODE}),
        ("tokenizer_config.json", {"AutoTokenizer": CODE}),
        ("tokenizer_config.json", CODE),  # as earlier versions wrote it
    ],
)
@pytest.mark.parametrize("part", ["path", "tokenizer_path"])
def test_code_that_was_not_asked_for_is_refused(tmp_path, part, file, named):
    (tmp_path / file).write_text(json.dumps({"auto_map": named}))
    config = changed(plain_config(), [f"actor_rollout_ref.model.{part}={tmp_path}"])
    with refused(KEY, "excluded", str(tmp_path), file, "stranger--code.Tokenizer"):
        check_remote_code(config)
    check_remote_code(changed(config, [f"{KEY}=True"]))


@pytest.mark.parametrize(
    "text",
    ["{}", '{"auto_map": {}}', '{"auto_map": {"AutoModelForCausalLM": "code.Model"}}', "no json", "[]", "[" * 9999],
)
def test_a_model_without_code_is_none_of_its_affairs(tmp_path, text):
    for file in FILES:
        (tmp_path / file).write_text(text)
    check_remote_code(changed(plain_config(), [f"actor_rollout_ref.model.path={tmp_path}"]))
