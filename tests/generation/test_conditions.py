"""What tells responses of one kind from those of another: settings, files of the model, the reward's code, rows."""

import pytest

from tests.refusals import changed
from verl_dots.data.asked_questions import AskedQuestion
from verl_dots.generation.conditions import code_fingerprint, conditions_of, digest, model_fingerprint, scorers
from verl_dots.generation.generation import Sampling

MODEL, ROLLOUT = "actor_rollout_ref.model", "actor_rollout_ref.rollout"
FILES = {
    "config.json": "{}",
    "generation_config.json": '{"eos_token_id": 1}',
    "model.safetensors": "weights",
    "modeling_own.py": "one = 1",
    "tokenizer.json": "x" * 3 * 2**20,
    "tokenizer_config.json": "{}",
    "special_tokens_map.json": "{}",
    "chat_template.jinja": "{{ messages }}",
    "README.md": "text",
}


@pytest.fixture
def config(on_cpu, tmp_path):
    """Of a model in a folder."""
    folder = tmp_path / "model"
    folder.mkdir()
    for name, content in FILES.items():
        (folder / name).write_text(content)
    on_cpu.actor_rollout_ref.model.path = str(folder)
    return on_cpu


def conditions(config):
    return conditions_of(config, 4, Sampling(0.6))


def differing(first, second):
    assert first.keys() == second.keys()
    return [name for name in first if first[name] != second[name]]


@pytest.mark.parametrize(
    ("override", "name"),
    [
        (f"{MODEL}.tokenizer_path=owner/other", "tokenizer"),
        (f"{MODEL}.hf_config_path=owner/other", "model_config"),
        (f"+{MODEL}.override_config.rope_theta=5", "override_config"),
        (f"+{ROLLOUT}.engine_kwargs.hf.threads=2", "engine_kwargs"),
        (f"{ROLLOUT}.full_determinism=True", "full_determinism"),
        (f"{ROLLOUT}.quantization=fp8", "quantization"),
    ],
)
def test_a_setting_that_changes_responses_is_a_condition(config, override, name):
    assert differing(conditions(config), conditions(changed(config, [override]))) == [name]


def test_options_of_another_engine_are_none(config):
    other = changed(config, [f"+{ROLLOUT}.engine_kwargs.vllm.max_logprobs=2"])
    assert differing(conditions(config), conditions(other)) == []


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("config.json", "model"),
        ("modeling_own.py", "model"),
        ("model.safetensors", "model"),
        ("generation_config.json", "generation_config"),
        ("tokenizer.json", "tokenizer"),
        ("tokenizer_config.json", "tokenizer"),
        ("special_tokens_map.json", "tokenizer"),
        ("chat_template.jinja", "tokenizer"),
        ("README.md", None),
    ],
)
def test_a_file_of_the_model_that_changes_responses_is_a_condition(config, tmp_path, file, name):
    before, path = conditions(config), tmp_path / "model" / file
    content = path.read_bytes()
    middle = len(content) // 2  # of the tokenizer's 3 MiB too
    path.write_bytes(content[:middle] + b"?" + content[middle + 1 :])
    assert differing(before, conditions(config)) == [name] * (name is not None)
    path.write_bytes(content)
    assert conditions(config) == before


def test_the_code_of_a_reward_is_a_condition(config, tmp_path):
    reward, settings = tmp_path / "my_reward.py", config.reward.custom_reward_function
    reward.write_text("def score(**given): return 1.0\n")
    settings.path, settings.name = str(reward), "score"
    before = conditions(config)
    settings.path = f"file://{reward}"
    assert differing(before, conditions(config)) == ["reward"]
    reward.write_text("def score(**given): return 0.0\n")
    assert differing(before, conditions(config)) == ["reward", "reward_code"]


def test_the_code_of_a_reward_in_a_package_is_its_modules(tmp_path, monkeypatch):
    package = tmp_path / "own_rewards"
    package.mkdir()
    for name in ("__init__", "score", "parts"):
        (package / f"{name}.py").write_text("")
    (tmp_path / "own_score.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    paths = ("pkg://own_rewards.score", "pkg://own_rewards/score", "pkg://own_score")
    first, again, alone = map(code_fingerprint, paths)
    assert first == again != alone
    (package / "parts.py").write_text("# other")
    (tmp_path / "beside.py").write_text("")
    assert code_fingerprint(paths[0]) != first
    assert code_fingerprint(paths[2]) == alone
    assert code_fingerprint(None) is None


def test_the_fingerprint_tells_checkpoints_apart_and_copies_not(tmp_path):
    def model(folder, weights):
        (tmp_path / folder / "m").mkdir(parents=True)
        (tmp_path / folder / "m" / "config.json").write_text("{}")
        (tmp_path / folder / "m" / "model.safetensors").write_bytes(weights)
        return model_fingerprint(str(tmp_path / folder / "m"))

    large = bytes(3 * 2**20)
    first = model("one", large)
    assert first.startswith("m, sha256 ")
    assert model("copy", large) == first
    # The last byte, beyond the first MiB.
    assert model("other", large[:-1] + b"\1") != first
    assert model("shorter", large[:-1]) != first
    (tmp_path / "copy" / "m" / "config.json").write_text("{ }")
    assert model_fingerprint(str(tmp_path / "copy" / "m")) != first


def test_a_hub_id_is_its_own_fingerprint():
    assert model_fingerprint("owner/name-of-nothing-here") == "owner/name-of-nothing-here"


def test_the_digest_depends_on_the_ids_and_their_order():
    a, b = AskedQuestion("a", "1+1?", "2", {}), AskedQuestion("b", "2+2?", "4", {})
    assert digest([a, b]).startswith("2 questions, sha256 ")
    assert digest([a, b]) == digest([AskedQuestion("a", "other text", "2", {}), b])
    assert len({digest([a, b]), digest([b, a]), digest([a])}) == 3


def test_scorers_depend_on_what_rows_tell_the_reward_and_on_nothing_else():
    def of(*sources, level=1, prompt="1+1?"):
        rows = ({"data_source": each, "extra_info": {"level": level}, "prompt": prompt} for each in sources)
        return scorers([AskedQuestion("a", "1+1?", "2", row) for row in rows])

    assert of("math", "arithmetic").startswith("arithmetic, math, sha256 ")
    assert of("math") == of("math", prompt="2+2?")
    assert len({of("math"), of("arithmetic"), of("math", level=2), of("math", level=b"\xff"), of("math", "math")}) == 5
    assert scorers([AskedQuestion("a", "1+1?", "2", {"data_source": "math"})]).startswith("math, sha256 ")
