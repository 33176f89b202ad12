"""The data of a run: what is refused, and the command that then names every row."""

import logging
import re
import shlex

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_prep.byte_tokenizer import build_tokenizer
from verl_dots import check
from verl_dots.integration.data_checks import check_data
from verl_dots.main import compose
from verl_dots.settings import ConfigError

pytestmark = pytest.mark.usefixtures("cpu_environment")
TEMPLATE = "{{ prefix }}{% for message in messages %}{{ message.content }}{% endfor %}"


def row(question, answer="1", column="prompt"):
    return {
        "data_source": "arithmetic",
        column: [{"role": "user", "content": question}],
        "reward_model": {"style": "rule", "ground_truth": answer},
    }


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "a folder"
    (folder / "model").mkdir(parents=True)
    build_tokenizer().save_pretrained(folder / "model")
    (folder / "model" / "config.json").write_text("{}")
    return folder


def checked(folder, rows, *overrides):
    """Check rows as the validation set of a run."""
    pq.write_table(pa.Table.from_pylist(rows), folder / "a.parquet")
    given = {
        "data.train_files": "[]",
        "data.val_files": f"'{folder}/a.parquet'",
        "actor_rollout_ref.model.path": f"'{folder}/model'",
    }
    check_data(compose(["device=cpu", *(f"{key}={value}" for key, value in given.items()), *overrides]), train=False)


def refused(folder, rows, *overrides):
    """The words of the command that the refusal recommends."""
    with pytest.raises(ConfigError, match="names them all") as error:
        checked(folder, rows, *overrides)
    command = re.search("`(.*)` names them all", str(error.value), re.DOTALL)[1]
    words = shlex.split(command)
    assert words[:3] == ["python", "-m", "verl_dots.check"]
    return words[3:]


def test_the_command_finds_prompts_that_are_too_long_for_the_run(folder, capsys):
    words = refused(folder, [row("short"), *[row("x" * (90 + i)) for i in range(30)]], "data.max_prompt_length=64")
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
    rows = [row("1 + 1?", column="chat"), row("x", column="chat")]
    words = refused(folder, rows, *options)  # 66 and 61 tokens
    assert check.main(words) == 1
    out = capsys.readouterr().out
    assert "too long, 1 rows: 0" in out and "its prompt has 66 tokens" in out


def test_the_command_leaves_alone_what_the_run_does(folder, capsys, tmp_path):
    (tmp_path / "reward.py").write_text("def compute_score(**kwargs):\n    return 1.0\n")
    own = f"reward.custom_reward_function.path='{tmp_path}/reward.py'"
    rows = [row("a", "unreadable."), row("b", "")]
    words = refused(folder, rows, own, "data.filter_overlong_prompts=True")
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
    words = "1 of 1 rows .* row 0: the tokenizer's chat template refuses it: System role not supported"
    with pytest.raises(ConfigError, match=words):
        checked(folder, [row("a")])


def test_ground_truths_on_which_the_reward_raises_never_start_a_run(folder):
    with pytest.raises(ConfigError, match=r"1 of 1 rows .* row 0: .* is \['4'\] \(list\); it must be text or a number"):
        checked(folder, [row("a", ["4"])])
