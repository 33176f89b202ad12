"""`python -m verl_dots.check` on files with everything that can be wrong with a row."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from threading import Event, Thread

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_prep.byte_tokenizer import build_tokenizer
from tests.refusals import refused
from verl_dots import check
from verl_dots.data.checks import ANSWER_THREADS, MOST_WAITING, check_files

ROOT = Path(__file__).parents[1]
# Templates of some chat models: no message of a system, roles that alternate.
STRICT = "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('System role not supported') }}"
STRICT += "{% endif %}{{ m.content }}{% endfor %}"


def row(question="What is 1 plus 1?", answer="2", source="arithmetic", prompt=None):
    return {
        "data_source": source,
        "prompt": [{"role": "user", "content": question}] if prompt is None else prompt,
        "reward_model": {"style": "rule", "ground_truth": answer},
    }


def write(path, rows, schema=None):
    pq.write_table(pa.Table.from_pylist(rows, schema), path)
    return path


def run(capsys, *arguments):
    code = check.main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_good_data(tmp_path, capsys):
    file = write(tmp_path / "a.parquet", [row(f"What is {i} plus 1?", str(i + 1)) for i in range(10, 30)])
    code, out, _ = run(capsys, file)
    assert code == 0 and "All 20 rows can be trained on." in out
    header, _, cells = (line.split("|") for line in out.splitlines()[:3])
    assert [cell.strip() for cell in cells[1:6]] == ["a.parquet", "20", "20", "arithmetic", "18, 18"]
    assert "no reward" not in header


def test_everything_that_can_be_wrong_with_a_row_is_told_with_its_number(tmp_path, capsys):
    rows = [
        row("good", "1"),
        row("no answer", ""),
        row("no prompt", "1", prompt=[]),
        row("blank", "1", prompt=[{"role": "user", "content": "  "}]),
        row("what is this?", "1", source="unheard_of"),
        row("nor this", "1", source=None),
        row("good", "1"),
        row("good", "2"),
        row("unreadable", "a data source."),  # a period ends an answer
        row("a fraction", "\\frac{1}{2}", source="math"),
        row("verl's own", "7", source="openai/gsm8k"),
    ]
    code, out, _ = run(capsys, write(tmp_path / "a.parquet", rows))
    assert code == 1
    for line in (
        "no question, 3 rows: 1, 2, 3",
        "row 1: there is no reward_model.ground_truth",
        "row 2: prompt must be a non-empty list of messages",
        "row 3: the question has no text",
        "no reward, 2 rows: 4, 5",
        "row 4: no reward function for data source 'unheard_of'",
        "row 5: it has no data_source",
        "repeated question, 1 rows: 6",
        "row 6: the same as a.parquet row 0",
        "conflicting answers, 1 rows: 7",
        "unreadable answer, 1 rows: 8",
        "6 of 11 rows are wrong.",
    ):
        assert line in out, line
    assert "row 9" not in out and "row 10" not in out


def test_repeats_across_files_are_wrong_only_if_asked(tmp_path, capsys):
    files = [write(tmp_path / f"{name}.parquet", [row()]) for name in "ab"]
    code, out, _ = run(capsys, *files)
    assert code == 0 and "b.parquet: repeated question, 1 rows: 0" in out and "the same as a.parquet row 0" in out
    code, out, _ = run(capsys, *files, "--strict")
    assert code == 1 and "1 of 2 rows are wrong." in out


def test_prompts_that_are_too_long(tmp_path, capsys):
    build_tokenizer().save_pretrained(tmp_path / "model")
    file = write(tmp_path / "a.parquet", [row("short"), row("long " * 50)])
    code, out, _ = run(capsys, file, "--tokenizer", tmp_path / "model", "--max-prompt-tokens", 100)
    assert code == 1 and "too long, 1 rows: 1" in out and "at most 100 are allowed" in out
    tokens = int(out.split("its prompt has ")[1].split()[0])
    assert 250 <= tokens < 300 and f" {tokens} |" in out
    with pytest.raises(SystemExit):
        check.main([str(file), "--max-prompt-tokens", "100"])
    assert "a --tokenizer that counts them" in capsys.readouterr().err


def test_text_that_is_not_utf_8(tmp_path, capsys):
    good = write(tmp_path / "a.parquet", [row(f"question {'x' * i}", "1") for i in range(5)])
    content = good.read_bytes()
    assert content.count(b"question xxx") > 0
    table = pq.read_table(good)
    cells = [b"question ", b"question \xff\xfe", b"question xx"]
    messages = pa.array(
        [[{"role": "user", "content": cell}] for cell in cells],
        pa.list_(pa.struct([("role", pa.string()), ("content", pa.binary())])),
    )
    strings = pa.ListArray.from_arrays(
        messages.offsets,
        pa.StructArray.from_arrays(
            [messages.values.field("role"), messages.values.field("content").view(pa.string())], ["role", "content"]
        ),
    )
    table = table.slice(0, 3).set_column(table.schema.get_field_index("prompt"), "prompt", strings)
    pq.write_table(table, good)
    code, out, _ = run(capsys, good)
    assert code == 1 and "no question, 1 rows: 1" in out and "row 1: its text is not UTF-8" in out


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: path, "there is no file"),
        (lambda path: path.write_text("{}") and path, "is not a parquet file, or damaged"),
        (lambda path: path.write_bytes(b"") or path, "is not a parquet file, or damaged"),
        (lambda path: write(path, [{"question": "1 + 1?"}]), "has no column ['prompt', 'reward_model']"),
        (
            lambda path: write(path, [row() | {"reward_model": {"style": "rule"}}]),
            "there is no reward_model.ground_truth",
        ),
        (lambda path: write(path, [], pa.Table.from_pylist([row()]).schema), "has no rows"),
    ],
)
def test_files_that_cannot_be_read_at_all(tmp_path, capsys, make, words):
    code, _, err = run(capsys, make(tmp_path / "a.parquet"))
    assert code == 2 and words in err


class Rewards:
    """Knows every source, and reads the answers of `arithmetic`."""

    def __init__(self, answer_problem=lambda source, answer: None):
        self.asked = []
        self._answer_problem = answer_problem

    def source_problem(self, source):
        return None

    def truth_problem(self, source, truth):
        return None

    def reads_answers(self, source):
        return source == "arithmetic"

    def answer_problem(self, source, answer):
        self.asked.append((source, answer))
        return self._answer_problem(source, answer)


def test_each_answer_is_asked_for_once_and_of_a_source_without_a_reader_never(tmp_path):
    rows = [row(f"question {i}", str(i % 3)) for i in range(30)]
    rows += [row(f"task {i}", "all the tests", source="apps") for i in range(5)]
    rewards = Rewards(lambda source, answer: ("unreadable answer", f"{answer} is odd") if int(answer) % 2 else None)
    (report,) = check_files([write(tmp_path / "a.parquet", rows)], rewards=rewards, progress=False)
    assert sorted(rewards.asked) == [("arithmetic", str(i)) for i in range(3)]
    assert report.rows == report.questions == 35
    assert report.problems == {"unreadable answer": [*range(1, 30, 3)]}
    assert report.messages == {"unreadable answer": {"1 is odd": 1}}
    with refused("messages", "data"):
        check_files([tmp_path / "a.parquet"], prompt_key="messages", progress=False)


def test_an_answer_that_an_earlier_file_had_is_not_asked_for_again(tmp_path):
    files = [write(tmp_path / f"{name}.parquet", [row(name, "13"), row(f"{name}?", "7")]) for name in "ab"]
    rewards = Rewards(lambda source, answer: ("fragile answer", "unlucky") if answer == "13" else None)
    reports = check_files(files, rewards=rewards, progress=False)
    assert sorted(rewards.asked) == [("arithmetic", "13"), ("arithmetic", "7")]
    assert [report.problems for report in reports] == [{"fragile answer": [0]}] * 2


def test_reading_waits_for_answers_that_take_long(tmp_path):
    rows = 3 * MOST_WAITING
    file = write(tmp_path / "a.parquet", [row(f"question {i}", str(i)) for i in range(rows)])
    read, ahead, go = [], [], Event()

    def first_is_slow(source, answer):
        return None if answer != "0" else go.wait(60) and None

    def watch():
        before = -1
        while not read or len(read) != before:
            before = len(read)
            time.sleep(0.3)
        ahead.append(len(read))
        go.set()

    watcher = Thread(target=watch)
    watcher.start()
    # The lengths are counted where the rows are read.
    check_files([file], rewards=Rewards(first_is_slow), length=lambda messages: read.append(1) or 1, progress=False)
    watcher.join()
    assert len(read) == rows and ahead == [MOST_WAITING]


def test_an_interruption_leaves_the_answers_that_wait_alone(tmp_path):
    file = write(tmp_path / "a.parquet", [row(f"question {i}", str(i)) for i in range(300)])
    rewards = Rewards(lambda source, answer: time.sleep(0.3))
    read = []

    def length(messages):
        read.append(1)
        if len(read) == 300:
            raise KeyboardInterrupt
        return 1

    with pytest.raises(KeyboardInterrupt):
        check_files([file], rewards=rewards, length=length, progress=False)
    assert len(rewards.asked) < 300 - 10 * ANSWER_THREADS


@pytest.mark.parametrize("truth", [["4"], True])
def test_a_ground_truth_on_which_the_reward_raises_is_an_error(tmp_path, capsys, truth):
    rows = [row("a", truth), row("b", truth, source="openai/gsm8k")]
    code, out, _ = run(capsys, write(tmp_path / "a.parquet", rows))
    assert code == 1 and "ground truth of a wrong type, 2 rows: 0, 1" in out and "2 of 2 rows are wrong." in out
    kind = type(truth).__name__
    said = f"ground truth of a 'arithmetic' question is {truth!r} ({kind}); it must be text or a number"
    assert f"row 0: {said}" in out and "it must be text, a number or a dict" in out


def test_a_dict_that_one_of_verls_own_rewards_reads_is_none(tmp_path, capsys):
    file = write(tmp_path / "a.parquet", [row("Who wrote Emma?", {"target": ["Jane Austen"]}, source="searchR1_nq")])
    code, out, _ = run(capsys, file)
    assert code == 0 and "All 1 rows can be trained on." in out


def test_a_chat_that_the_template_refuses_is_a_wrong_row(tmp_path, capsys):
    tokenizer = build_tokenizer()
    tokenizer.chat_template = STRICT
    tokenizer.save_pretrained(tmp_path / "model")
    system = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "1 + 1?"}]
    file = write(tmp_path / "a.parquet", [row(), row(prompt=system)])
    code, out, _ = run(capsys, file, "--tokenizer", tmp_path / "model")
    assert code == 1 and "refused by the chat template, 1 rows: 1" in out and "1 of 2 rows are wrong." in out
    assert "row 1: the tokenizer's chat template refuses it: System role not supported" in out
    # Another template, or options of it, can be given.
    other = json.dumps({"chat_template": "{{ messages[-1].content }}{{ more }}", "more": "x" * 30})
    code, out, _ = run(capsys, file, "--tokenizer", tmp_path / "model", "--template-options", other)
    assert code == 0 and " 47 |" in out  # of the 17 bytes of "What is 1 plus 1?" and 30 more


@pytest.mark.parametrize("config", ["{}", None])
def test_a_folder_without_a_tokenizer_is_an_error(tmp_path, capsys, config):
    (tmp_path / "model").mkdir()
    if config:
        (tmp_path / "model" / "config.json").write_text(config)
    code, _, err = run(capsys, write(tmp_path / "a.parquet", [row()]), "--tokenizer", tmp_path / "model")
    assert code == 2 and err.startswith(f"error: {tmp_path / 'model'} has no tokenizer that loads: ")


def test_all_rows_are_named_if_asked(tmp_path, capsys):
    file = write(tmp_path / "a.parquet", [row(f"question {i}", "") for i in range(30)])
    code, out, _ = run(capsys, file)
    assert code == 1 and ", 18, 19 and 10 more (--all names them)\n" in out and "20, 21" not in out
    code, out, _ = run(capsys, file, "--all")
    assert code == 1 and ", 27, 28, 29\n" in out


def test_a_source_that_an_external_module_registers_is_known_from_the_first_row_on(tmp_path):
    source = "from verl_dots.rewards.compute import SCORERS, register\nregister('mine', SCORERS['arithmetic'])\n"
    (tmp_path / "my_rewards.py").write_text(source)
    file = write(tmp_path / "a.parquet", [row("a", "1", source="mine"), row("b", "1.", source="mine")])
    env = os.environ | {"VERL_USE_EXTERNAL_MODULES": "my_rewards", "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    done = subprocess.run(
        [sys.executable, "-m", "verl_dots.check", str(file)], env=env, capture_output=True, text=True, timeout=300
    )
    assert "no reward" not in done.stdout, done.stdout + done.stderr
    assert done.returncode == 1 and "unreadable answer, 1 rows: 1\n" in done.stdout


CASES = ROOT.parent / "shared" / "cases" / "data"


@pytest.mark.skipif(not CASES.is_dir(), reason="needs ../shared/cases/data")
@pytest.mark.parametrize(
    ("other", "column", "kinds"),
    [
        ("b_other_type", "extra_info.index", ("int64", "string")),
        ("b_large", "data_source", ("string", "large_string")),
        ("gt_int", "reward_model.ground_truth", ("string", "int64")),
    ],
)
def test_files_of_other_types_do_not_go_together(capsys, other, column, kinds):
    one, two = CASES / "a_index_only.parquet", CASES / f"{other}.parquet"
    code, out, _ = run(capsys, one, two, "--skip-answers")
    assert code == 1 and f"    {column} is {kinds[0]} in {one} and {kinds[1]} in {two}\n" in out
    assert "All 40 rows can be trained on, but the files not together.\n" in out
    assert run(capsys, one, two, "--skip-answers", "--apart")[0] == 0


@pytest.mark.skipif(not CASES.is_dir(), reason="needs ../shared/cases/data")
def test_answers_that_no_response_matches_are_all_named_and_can_be_left_out(tmp_path, capsys):
    good = write(tmp_path / "good.parquet", [row("a", "\\frac{1}{2}", source="math"), row("b", "7", source="math")])
    file = write(tmp_path / "some.parquet", [*pq.read_table(CASES / "unmatchable.parquet").to_pylist(), row("c", "3")])
    code, out, _ = run(capsys, good, file)
    assert code == 1 and "prose answer, 2 rows: 0, 1\n" in out and "fragile answer, 3 rows: 2, 3, 4\n" in out
    assert "5 of 8 rows are wrong.\n--clean FOLDER writes the files there without the wrong rows" in out
    code, out, _ = run(capsys, good, file, "--clean", tmp_path / "clean")
    assert code == 0 and f"{tmp_path / 'clean' / 'some.parquet'}: 1 of 6 rows of {file}\n" in out
    code, out, _ = run(capsys, tmp_path / "clean" / "good.parquet", tmp_path / "clean" / "some.parquet")
    assert code == 0 and "All 3 rows can be trained on.\n" in out


def test_roles_and_blank_messages(tmp_path, capsys):
    chats = [
        [("human", "1 + 1?")],
        [("system", ""), ("user", "2 + 2?")],
        [("user", "3 + 3?"), ("assistant", "7"), ("user", " ")],
        [("user", "  ")],
        [("developer", "Be brief."), ("user", "4 + 4?"), ("assistant", ""), ("tool", "8"), ("User", "And now?")],
    ]
    rows = [row(prompt=[{"role": role, "content": text} for role, text in chat]) for chat in chats]
    # A question that extra_info holds is not what a model is shown.
    code, out, _ = run(
        capsys, write(tmp_path / "a.parquet", [each | {"extra_info": {"question": "?"}} for each in rows])
    )
    assert code == 1 and "4 of 5 rows are wrong." in out
    assert "unknown role, 2 rows: 0, 4\n" in out and "row 0: the role 'human' is unknown to chat templates" in out
    assert "no question, 2 rows: 2, 3\n" in out and "row 2: a message of the user is blank" in out


@pytest.mark.parametrize("name", ["a.json", "a.jsonl"])
def test_json_is_checked_as_verl_reads_it(tmp_path, capsys, monkeypatch, name):
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", str(tmp_path / "cache"))
    rows = [row("a"), row("b", "3")]
    file = tmp_path / name
    file.write_text("\n".join(map(json.dumps, rows)) if name == "a.jsonl" else json.dumps(rows))
    code, out, _ = run(capsys, file, write(tmp_path / "b.parquet", [row("c")]))
    assert code == 0 and "All 3 rows can be trained on.\n" in out
    file.write_text('{"data_source": ')
    code, _, err = run(capsys, file)
    assert code == 2 and f"{file} is no JSON that verl can read, or damaged: " in err


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            {"extra_info": '{"index": 1}'},
            "extra_info is string; it must be a struct (a dict in each row). json.loads of",
        ),
        ({"extra_info": [1, 2]}, "extra_info is list<element: int64>; it must be a struct"),
        ({"reward_model": '{"ground_truth": "2"}'}, "reward_model is string; it must be a struct"),
    ],
)
def test_columns_that_must_hold_fields(tmp_path, capsys, change, words):
    code, _, err = run(capsys, write(tmp_path / "a.parquet", [row() | change]))
    assert code == 2 and words in err


def test_another_kind_of_file_and_a_folder(tmp_path, capsys):
    (tmp_path / "a.csv").write_text("prompt,answer\n1 + 1?,2\n")
    code, _, err = run(capsys, tmp_path / "a.csv")
    assert code == 2 and "is of a kind that verl does not read; allowed: .parquet, .json, .jsonl" in err
    code, _, err = run(capsys, tmp_path)
    assert code == 2 and "is a folder; name the files in it" in err


def test_where_clean_files_cannot_be_written_is_told_before_anything_is_read(tmp_path, capsys):
    (tmp_path / "text").write_text("")
    code, out, err = run(capsys, tmp_path / "gone.parquet", "--clean", tmp_path / "text")
    assert code == 2 and out == "" and f"{tmp_path / 'text' / 'gone.parquet'} cannot be written: " in err
    file = write(tmp_path / "a.parquet", [row()])
    code, _, err = run(capsys, file, "--clean", tmp_path)
    assert code == 2 and "is also read" in err and pq.read_table(file).num_rows == 1


def test_questions_of_the_training_data_are_told_of_by_row(tmp_path):
    train = write(tmp_path / "train.parquet", [row("a"), row("b")])
    val = write(tmp_path / "val.parquet", [row("c"), row("b", "another answer")])
    prompts = {}
    (report,) = check_files([train], prompts=prompts, progress=False)
    assert report.problems == {} and list(prompts.values()) == ["train.parquet row 0", "train.parquet row 1"]
    (report,) = check_files([val], prompts=prompts, progress=False)
    assert report.problems == {"also in the training data": [1]}
    assert report.messages["also in the training data"] == {"its prompt is that of train.parquet row 1": 1}
