"""The data of a run: what is refused, and the command that then names every row."""

import json
import logging
import re
import shlex
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from data_prep.byte_tokenizer import build_tokenizer
from tests.launches import plain_config, write_rows
from tests.launches import question_row as row
from tests.refusals import changed, refused
from verl_dots import check
from verl_dots.launch.compose import compose
from verl_dots.launch.data_checks import UNSET, check_data, check_paths
from verl_dots.launch.loaded import TURNS

pytestmark = pytest.mark.usefixtures("cpu_environment")
TEMPLATE = "{{ prefix }}{% for message in messages %}{{ message.content }}{% endfor %}"


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "a folder"
    (folder / "model").mkdir(parents=True)
    build_tokenizer().save_pretrained(folder / "model")
    (folder / "model" / "config.json").write_text("{}")
    return folder


def config_of(folder, train, val=None, **changes):
    """The config of a run of plain GRPO with a batch of 4; `data__key=value` changes data.key."""
    config = plain_config().copy()
    given = {"data.train_files": train, "data.val_files": train if val is None else val, "data.train_batch_size": 4}
    given["actor_rollout_ref.model.path"] = folder / "model"
    for key, value in (given | {key.replace("__", "."): value for key, value in changes.items()}).items():
        OmegaConf.update(config, key, str(value) if isinstance(value, Path) else value, force_add=True)
    return config


def checked(folder, rows, *overrides):
    """Check rows as the validation set of a run."""
    file = write_rows(folder / "a.parquet", rows)
    check_data(changed(config_of(folder, [], file), overrides), train=False)


def recommended(folder, rows, *overrides):
    """The words of the command that the refusal of some rows recommends."""
    with refused("data.val_files", "data") as caught:
        checked(folder, rows, *overrides)
    command = re.search("`(.*)` names them all", str(caught.value), re.DOTALL)[1]
    words = shlex.split(command)
    assert words[:3] == ["python", "-m", "verl_dots.check"]
    return words[3:]


def test_validation_questions_that_verl_leaves_out_are_told(folder, caplog):
    with caplog.at_level(logging.WARNING):
        checked(folder, [row("short"), row("x" * 90)], "data.max_prompt_length=64", "data.filter_overlong_prompts=True")
    assert "1 of 2 questions have prompts of more than data.max_prompt_length=64 tokens and are left out" in caplog.text


def test_the_command_finds_prompts_that_are_too_long_for_the_run(folder, capsys):
    words = recommended(folder, [row("short"), *[row("x" * (90 + i)) for i in range(30)]], "data.max_prompt_length=64")
    assert check.main(words) == 1
    out = capsys.readouterr().out
    assert "too long, 30 rows: 1, 2," in out and ", 29, 30\n" in out  # all of them


def test_the_command_reads_the_column_and_the_template_of_the_run(folder, capsys):
    options = [
        "data.prompt_key=chat",
        "data.max_prompt_length=64",
        f"+data.apply_chat_template_kwargs.prefix='{'y' * 60}'",
        f'actor_rollout_ref.model.custom_chat_template="{TEMPLATE}"',
    ]
    rows = [{"chat": each.pop("prompt"), **each} for each in (row("1 + 1?"), row("x"))]
    words = recommended(folder, rows, *options)  # 66 and 61 tokens
    assert check.main(words) == 1
    out = capsys.readouterr().out
    assert "too long, 1 rows: 0" in out and "its prompt has 66 tokens" in out


def test_the_command_leaves_alone_what_the_run_does(folder, capsys, tmp_path):
    (tmp_path / "reward.py").write_text("def compute_score(**kwargs):\n    return 1.0\n")
    own = f"reward.custom_reward_function.path='{tmp_path}/reward.py'"
    rows = [row("a", "unreadable."), row("b", "")]
    words = recommended(folder, rows, own, "data.filter_overlong_prompts=True")
    assert "--tokenizer" not in words and check.main(words) == 1
    out = capsys.readouterr().out
    assert "no question, 1 rows: 1" in out and "unreadable answer" not in out


def test_the_command_of_a_warning_finds_the_answers(folder, capsys, caplog):
    caplog.set_level(logging.WARNING)
    checked(folder, [row("a"), row("b", "unreadable.")])
    said = r"right responses to 1 of 2 questions of .* may get no reward \(1 unreadable answer\); `(.*)` names them"
    command = re.search(said, caplog.text)[1]
    assert check.main(shlex.split(command)[3:]) == 1
    assert "unreadable answer, 1 rows: 1" in capsys.readouterr().out


def test_a_chat_that_the_template_refuses_never_starts_a_run(folder):
    tokenizer = build_tokenizer()
    tokenizer.chat_template = "{{ raise_exception('System role not supported') }}"
    tokenizer.save_pretrained(folder / "model")
    with refused("data.val_files", "data", "row 0", "System role not supported"):
        checked(folder, [row("a")])


@pytest.mark.parametrize("truncation", ["error", "left"])
def test_options_that_no_chat_can_be_tokenized_with_never_start_a_run(folder, truncation):
    key = "data.apply_chat_template_kwargs"
    with refused(key, "type", "continue_final_message"):
        checked(folder, [row("a")], f"+{key}.continue_final_message=True", f"data.truncation={truncation}")


@pytest.mark.parametrize(
    ("wrong", "named"),
    [(row("a", ["4"]), "['4'] (list)"), (row("a", data_source="unheard"), "'unheard'"), (row(" "), "")],
)
def test_rows_that_cannot_be_asked_or_scored_never_start_a_run(folder, wrong, named):
    with refused("data.val_files", "data", "1 of 1 rows", "row 0", named):
        checked(folder, [wrong])


@pytest.mark.parametrize(("low", "high"), [(5, 6), (0, 0.5), (0.5, 1), (-1, 0)])
def test_a_range_without_the_rewards_of_the_questions_never_starts_a_run(folder, low, high):
    file = write_rows(folder / "a.parquet", [row(letter) for letter in "abcd"])
    with refused("dots.reward_range", "range", "questions of arithmetic have the rewards 0 and 1"):
        check_data(config_of(folder, file, dots__reward_range=[low, high]), train=True)


@pytest.mark.parametrize(("low", "high"), [(0, 1), (-1, 1), (0, 2)])
def test_a_range_may_hold_more_than_the_rewards(folder, low, high):
    file = write_rows(folder / "a.parquet", [row(letter) for letter in "abcd"])
    check_data(config_of(folder, file, dots__reward_range=[low, high]), train=True)


def test_ground_truths_that_no_response_matches_are_counted_in_a_warning(folder, caplog):
    caplog.set_level(logging.WARNING)
    rows = [row("a"), row("b", "This problem has no solution, so that there is no answer here.")]
    checked(folder, [each | {"data_source": "math"} for each in rows])
    assert "right responses to 1 of 2 questions of" in caplog.text and "(1 prose answer)" in caplog.text
    assert "--clean FOLDER it writes the file without them" in caplog.text


def test_files_that_verl_would_not_read_are_refused_by_their_names(folder):
    (folder / "a.csv").write_text("prompt\n")
    for train, reason in (
        (folder / "a.csv", "file"),
        (folder / "model", "file"),  # a folder
        (folder / "gone.parquet", "file"),
        ("s3://bucket/a.parquet", "file"),  # on another machine
        ("hdfs://host/a.parquet", "file"),
        ([], "missing"),
        (None, "missing"),
        ([1], "type"),
    ):
        with refused("data.train_files", reason):
            check_paths(config_of(folder, train))
    good = write_rows(folder / "good.parquet", [row("a")])
    with refused("data.val_files", "file"):
        check_paths(config_of(folder, good, folder / "a.csv"))
    own = {"data__custom_cls__path": folder / "mine.py"}  # a data set class reads what it likes
    check_paths(config_of(folder, folder / "a.csv", "s3://bucket/a.parquet", **own))


def test_files_of_a_run_that_do_not_go_together(folder):
    one = write_rows(folder / "one.parquet", [row("a") | {"extra_info": {"index": 1}}] * 4)
    two = write_rows(folder / "two.parquet", [row("b") | {"extra_info": {"index": "1"}}] * 4)
    with refused("data.train_files", "data", f"extra_info.index is int64 in {one} and string in {two}. `python "):
        check_data(config_of(folder, [str(one), str(two)], one))
    with refused("data.val_files", "data"):
        check_data(config_of(folder, one, [str(one), str(two)]))
    check_data(config_of(folder, one, two))  # the roles are read apart
    check_data(config_of(folder, one, [str(one), str(two)]), train=False)  # an evaluation reads each file alone


def test_rows_that_fill_no_batch(folder, caplog):
    few = write_rows(folder / "few.parquet", [row(name) for name in "abc"])
    with refused("data.train_files", "size"):
        check_data(config_of(folder, few))
    check_data(config_of(folder, few), train=False)
    check_data(config_of(folder, few, trainer__val_only=True))
    four = write_rows(folder / "four.parquet", [row(name) for name in "defg"])
    check_data(config_of(folder, four, few))
    with refused("data.train_files", "size", "data.train_max_samples=3"):
        check_data(config_of(folder, four, few, data__train_max_samples=3))
    # 39 bytes are the template's.
    long = write_rows(folder / "long.parquet", [row(name) for name in "def"] + [row("x" * 60)])
    limit = {"data__max_prompt_length": 64, "data__filter_overlong_prompts": True}
    with refused("data.train_files", "size", "1 prompts of more than data.max_prompt_length=64 tokens"):
        check_data(config_of(folder, long, few, **limit))
    caplog.clear()
    check_data(config_of(folder, [str(long), str(few)], few, **limit))
    assert "data.val_files: 3 of 3 questions of" in caplog.text and "are in data.train_files too" in caplog.text


WITH_TOOLS = (
    "{% if tools %}{{ tools | tojson }}{% endif %}{% for message in messages %}{{ message.content }}{% endfor %}"
)
SCHEMA = '{"type": "function", "function": {"name": "add", "description": "Adds."}}'  # 73 characters


def with_tools(folder, rows, **changes):
    """The config of a run with prompts of 1 token, and of 76 with a list of one tool before them."""
    (folder / "tools.yaml").write_text(
        f"tools: [{{class_name: verl.tools.base_tool.BaseTool, config: {{type: native}}, tool_schema: {SCHEMA}}}]"
    )
    file = write_rows(folder / "a.parquet", rows)
    group, model = "actor_rollout_ref__rollout__", "actor_rollout_ref__model__custom_chat_template"
    given = {f"{group}multi_turn__tool_config_path": str(folder / "tools.yaml"), model: WITH_TOOLS}
    given |= {f"{group}agent__default_agent_loop": "tool_agent", "data__max_prompt_length": 64}
    return config_of(folder, file, **given | changes)


@pytest.mark.parametrize("filters", [True, False])
def test_the_schemas_of_tools_are_counted(folder, capsys, filters):
    rows = [row(letter) for letter in "abcdefgh"]
    config = with_tools(folder, rows, data__filter_overlong_prompts=filters)
    if filters:
        with refused("data.train_files", "size", "0 of 8 rows", "8 prompts of more than data.max_prompt_length=64"):
            check_data(config)
    else:
        with refused("data.train_files", "data", "8 of 8 rows", "row 0: its prompt has 76 tokens") as caught:
            check_data(config)
        words = shlex.split(re.search("`(.*)` names them all", str(caught.value), re.DOTALL)[1])
        assert check.main(words[3:]) == 1
        assert "too long, 8 rows" in (out := capsys.readouterr().out) and "its prompt has 76 tokens" in out
    check_data(with_tools(folder, rows, data__filter_overlong_prompts=filters, data__max_prompt_length=76))
    check_data(config, train=False)  # only generates, without an agent loop
    (folder / "tools.yaml").write_text("tools: [{class_name: verl.tools.base_tool.BaseTool, config: {}}]")
    with refused(f"{'data' if filters else TURNS}.tool_config_path", "file", "tool_schema"):
        check_data(config)
    if not filters:
        config.data.truncation = "left"
        check_data(config)  # nothing is counted


def test_verls_own_filter_counts_them(folder, monkeypatch):
    from verl.utils.dataset.rl_dataset import RLHFDataset

    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", str(folder / "cache"))
    config = with_tools(folder, [row("a"), row("b")], data__filter_overlong_prompts=True)
    tokenizer = build_tokenizer()
    tokenizer.chat_template = WITH_TOOLS
    for most, left in ((75, 0), (76, 2)):
        config.data.max_prompt_length = most
        assert len(RLHFDataset([str(folder / "a.parquet")], tokenizer, config.data)) == left


@pytest.mark.parametrize("default", ["tool_agent", "single_turn_agent"])
def test_tools_that_no_row_is_offered_are_not_counted(folder, default):
    """verl's filter counts them with all rows, its loop of a single turn with none."""
    loop = {"actor_rollout_ref__rollout__agent__default_agent_loop": default, "data__filter_overlong_prompts": False}
    single = [row(letter, agent_name="single_turn_agent") for letter in "abcd"]
    check_data(with_tools(folder, single, **loop))
    with refused("data.train_files", "size", "4 prompts"):
        check_data(with_tools(folder, single, **loop | {"data__filter_overlong_prompts": True}))
    plain = [row(letter) for letter in "abcd"]
    if default == "single_turn_agent":
        check_data(with_tools(folder, plain, **loop))
    else:
        with refused("data.train_files", "data", "76 tokens"):
            check_data(with_tools(folder, plain, **loop))


@pytest.mark.parametrize("mixed", ["loops", "selections"])
def test_of_rows_that_offer_different_tools_none_are_counted(folder, caplog, mixed):
    """verl gives a row the tools of its own loop and selection: 64 tokens are enough for some of these rows, or all."""
    rows = [row(letter, agent_name="tool_agent", extra_info={"tool_selection": []}) for letter in "abcd"]
    if mixed == "loops":
        rows[1]["agent_name"] = "single_turn_agent"
    else:
        rows[1]["extra_info"] = {"tool_selection": ["none"]}
    check_data(with_tools(folder, rows, data__filter_overlong_prompts=False))
    assert "data.train_files: rows offer different tools" in caplog.text
    with refused("data.train_files", "data", "76 tokens"):
        check_data(with_tools(folder, [rows[0], *rows[2:]], data__filter_overlong_prompts=False))


def test_what_is_accepted_is_read_by_verls_own_data_set(folder, monkeypatch):
    from verl.utils.dataset.rl_dataset import RLHFDataset, collate_fn

    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", str(folder / "cache"))
    extras = ({"index": 1}, {"split": "train", "index": 2}, {"index": None, "more": {"a": [1]}}, None)
    files = [
        write_rows(folder / f"{i}.parquet", [row(f"{i}") | ({} if extra is None else {"extra_info": extra})])
        for i, extra in enumerate(extras)
    ]
    (folder / "4.jsonl").write_text(json.dumps(row("4") | {"extra_info": {"index": 4}}))
    config = config_of(folder, [*map(str, files), str(folder / "4.jsonl")])
    check_paths(config)
    check_data(config)
    data_set = RLHFDataset(config.data.train_files, build_tokenizer(), config.data)
    batch = collate_fn([data_set[i] for i in range(len(data_set))])
    assert [chat[0]["content"] for chat in batch["raw_prompt"]] == ["0", "1", "2", "3", "4"]
    assert list(batch["index"]) == [1, 2, None, 0, 4]


def test_data_that_is_not_set_is_told_so_and_not_as_a_file_of_verls(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    config = compose(["device=cpu"])
    assert {key: OmegaConf.select(config, key) for key in UNSET} == UNSET
    with refused("data.train_files", "missing") as caught:
        check_paths(config)
    assert "data.train_files is not set" in str(caught.value) and "data.train_files=FILE.parquet" in str(caught.value)
