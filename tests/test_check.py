"""`python -m verl_dots.check` on files with everything that can be wrong with a row."""

import json
import time
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.data_files import REFUSES_SYSTEM, row, save_tokenizer, text_of, write
from tests.refusals import refused
from verl_dots import check
from verl_dots.data.checks import ANSWER_THREADS, MOST_WAITING, check_files
from verl_dots.rewards import compute


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


@pytest.mark.parametrize(
    ("name", "column", "twice"),
    [
        ("data_source", pa.array(["math"]), "data_source"),
        ("extra_info", pa.StructArray.from_arrays([pa.array([1])] * 2, ["index"] * 2), "extra_info.index"),
    ],
)
def test_a_column_that_is_there_twice_is_refused_by_its_name(tmp_path, capsys, name, column, twice):
    file = write(tmp_path / "a.parquet", [row()])
    pq.write_table(pq.read_table(file).append_column(name, column), file)
    code, _, err = run(capsys, file)
    assert code == 2 and f"a.parquet has the column {twice!r} twice" in " ".join(err.split())


def test_files_of_one_name_are_told_apart_by_their_paths(tmp_path, capsys):
    files = []
    for name in ("a/train.parquet", "b/train.parquet", "b/val.parquet"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        files.append(write(tmp_path / name, [row(f"What is 1 plus {len(files)}?", str(len(files) + 1))]))
    _, out, _ = run(capsys, *files)
    assert [line.split("|")[1].strip() for line in out.splitlines()[2:5]] == [*map(str, files[:2]), "val.parquet"]


def test_everything_that_can_be_wrong_with_a_row_is_told_with_its_number(tmp_path, capsys):
    rows = [
        row("good", "1"),
        row("no answer", ""),
        row("no prompt", "1", prompt=[]),
        row("  ", "1"),
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
    file = write(tmp_path / "a.parquet", [row("short"), row("long " * 50)])
    model = save_tokenizer(tmp_path / "model")
    code, out, _ = run(capsys, file, "--tokenizer", model, "--max-prompt-tokens", 100)
    assert code == 1 and "too long, 1 rows: 1" in out and "at most 100 are allowed" in out
    tokens = int(out.split("its prompt has ")[1].split()[0])
    assert 250 <= tokens < 300 and f" {tokens} |" in out
    with pytest.raises(SystemExit):
        check.main([str(file), "--max-prompt-tokens", "100"])
    assert "a --tokenizer that counts them" in capsys.readouterr().err


def test_text_that_is_not_utf_8(tmp_path, capsys):
    table = pa.Table.from_pylist([row("a"), row("b"), row("c")])
    table = table.set_column(0, "data_source", text_of([b"arithmetic", b"\xff\xfe", b"arithmetic"]))
    pq.write_table(table, tmp_path / "a.parquet")
    code, out, _ = run(capsys, tmp_path / "a.parquet")
    assert code == 1 and "no question, 1 rows: 1" in out and "row 1: its text is not UTF-8" in out


def test_files_that_cannot_be_read_at_all(tmp_path, capsys):
    empty = write(tmp_path / "empty.parquet", [], pa.Table.from_pylist([row()]).schema)
    for file, words in ((tmp_path / "gone.parquet", "there is no file"), (empty, "has no rows")):
        code, _, err = run(capsys, file)
        assert code == 2 and words in err


def rewards_that_note(answer_problem=lambda source, answer: None):
    """Rewards that know every source, and read the answers of `arithmetic`; what they are asked about is in `asked`."""
    asked = []
    return SimpleNamespace(
        asked=asked,
        source_problem=lambda source: None,
        truth_problem=lambda source, truth: None,
        reads_answers=lambda source: source == "arithmetic",
        answer_problem=lambda source, answer: asked.append((source, answer)) or answer_problem(source, answer),
    )


def test_each_answer_is_asked_for_once_and_of_a_source_without_a_reader_never(tmp_path):
    rows = [row(f"question {i}", str(i % 3)) for i in range(30)]
    rows += [row(f"task {i}", "all the tests", source="apps") for i in range(5)]
    files = [write(tmp_path / "a.parquet", rows), write(tmp_path / "b.parquet", [row("another", "1")])]
    rewards = rewards_that_note(lambda source, answer: ("unreadable answer", "odd") if answer == "1" else None)
    reports = check_files(files, rewards=rewards, progress=False)
    assert sorted(rewards.asked) == [("arithmetic", str(i)) for i in range(3)]
    assert reports[0].rows == reports[0].questions == 35
    assert [report.problems["unreadable answer"] for report in reports] == [[*range(1, 30, 3)], [0]]
    assert reports[0].messages == {"unreadable answer": {"odd": 1}}
    with refused("messages", "data"):
        check_files(files, prompt_key="messages", progress=False)


def test_lengths_are_asked_for_where_they_are_wanted(tmp_path):
    files = [write(tmp_path / f"{name}.parquet", [row(f"{name}{i}") for i in range(3)]) for name in "ab"]
    asked = []

    def length(messages):
        asked.append(messages[0]["content"])
        return 9

    reports = check_files(files, length=length, measured={1, 3, 5}, most_tokens=8, progress=False)
    assert asked == ["a1", "b0", "b2"]
    assert [report.problems["too long"] for report in reports] == [[1], [0, 2]]


def test_reading_waits_for_answers_that_take_long(tmp_path):
    rows = 3 * MOST_WAITING
    file = write(tmp_path / "a.parquet", [row(f"question {i}", str(i)) for i in range(rows)])
    read, ahead = [], []

    def first_takes_until_reading_waits(source, answer):
        if answer == "0":
            before = -1
            while not read or len(read) != before:
                before = len(read)
                time.sleep(0.3)
            ahead.append(before)

    # The lengths are counted where the rows are read.
    rewards = rewards_that_note(first_takes_until_reading_waits)
    check_files([file], rewards=rewards, length=lambda messages: read.append(1) or 1, progress=False)
    assert len(read) == rows and ahead == [MOST_WAITING]


def test_an_interruption_leaves_the_answers_that_wait_alone(tmp_path):
    file = write(tmp_path / "a.parquet", [row(f"question {i}", str(i)) for i in range(300)])
    rewards = rewards_that_note(lambda source, answer: time.sleep(0.3))
    read = []

    def length(messages):
        read.append(1)
        if len(read) == 300:
            raise KeyboardInterrupt
        return 1

    with pytest.raises(KeyboardInterrupt):
        check_files([file], rewards=rewards, length=length, progress=False)
    assert len(rewards.asked) < 300 - 10 * ANSWER_THREADS


def test_a_ground_truth_on_which_the_reward_raises_is_an_error(tmp_path, capsys):
    rows = [row("a", ["4"]), row("b", ["4"], source="openai/gsm8k")]
    code, out, _ = run(capsys, write(tmp_path / "a.parquet", rows))
    assert code == 1 and "ground truth of a wrong type, 2 rows: 0, 1" in out and "2 of 2 rows are wrong." in out
    assert "row 0: ground truth of a 'arithmetic' question is ['4'] (list); it must be text or a number" in out
    assert "it must be text, a number or a dict" in out


def test_a_chat_that_the_template_refuses_is_a_wrong_row(tmp_path, capsys):
    model = save_tokenizer(tmp_path / "model", REFUSES_SYSTEM)
    system = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "1 + 1?"}]
    file = write(tmp_path / "a.parquet", [row(), row(prompt=system)])
    code, out, _ = run(capsys, file, "--tokenizer", model)
    assert code == 1 and "refused by the chat template, 1 rows: 1" in out and "1 of 2 rows are wrong." in out
    assert "row 1: the tokenizer's chat template refuses it: System role not supported" in out
    # Another template, or options of it, can be given.
    other = json.dumps({"chat_template": "{{ messages[-1].content }}{{ more }}", "more": "x" * 30})
    code, out, _ = run(capsys, file, "--tokenizer", model, "--template-options", other)
    assert code == 0 and " 47 |" in out  # of the 17 bytes of "What is 1 plus 1?" and 30 more


@pytest.mark.parametrize("config", ["{}", None])
def test_a_folder_without_a_tokenizer_is_an_error(tmp_path, capsys, config):
    (tmp_path / "model").mkdir()
    if config:
        (tmp_path / "model" / "config.json").write_text(config)
    code, _, err = run(capsys, write(tmp_path / "a.parquet", [row()]), "--tokenizer", tmp_path / "model")
    assert code == 2 and err.startswith(f"error: {tmp_path / 'model'} has no tokenizer that loads: ")


def test_the_first_rows_and_messages_are_named_and_all_rows_if_asked(tmp_path, capsys):
    prompts = [[{"role": f"role {i}", "content": "1 + 1?"}] for i in range(30)]
    file = write(tmp_path / "a.parquet", [row(prompt=prompt) for prompt in prompts])
    code, out, _ = run(capsys, file)
    assert code == 1 and ", 18, 19 and 10 more (--all names them)\n" in out and "20, 21" not in out
    assert "    row 4: the role 'role 4' is" in out and "    row 5: " not in out
    code, out, _ = run(capsys, file, "--all")
    assert code == 1 and ", 27, 28, 29\n" in out


def test_a_source_that_is_registered_while_verl_is_asked_is_known_from_the_first_row_on(tmp_path, capsys, monkeypatch):
    """Asking verl imports it, and with it the user's modules that register sources."""

    def import_verl(source):
        compute.SCORERS["mine"] = compute.SCORERS["arithmetic"]
        return "verl does not know it"

    monkeypatch.setattr(compute, "SCORERS", dict(compute.SCORERS))
    monkeypatch.setattr(compute.by_verl, "problem", import_verl)
    file = write(tmp_path / "a.parquet", [row("a", "1", source="mine"), row("b", "1.", source="mine")])
    code, out, _ = run(capsys, file)
    assert code == 1 and "no reward" not in out and "unreadable answer, 1 rows: 1\n" in out


def test_files_of_other_types_do_not_go_together(tmp_path, capsys):
    one, two = (write(tmp_path / f"{i}.parquet", [row(f"{i}") | {"extra_info": {"index": i}}]) for i in (1, "2"))
    code, out, _ = run(capsys, one, two)
    assert code == 1 and f"    extra_info.index is int64 in {one} and string in {two}\n" in out
    assert "All 2 rows can be trained on, but the files not together.\n" in out
    assert run(capsys, one, two, "--apart")[0] == 0


def test_answers_that_no_response_matches_are_all_named_and_can_be_left_out(tmp_path, capsys):
    good = write(tmp_path / "good.parquet", [row("a", "\\frac{1}{2}", source="math"), row("b", "7", source="math")])
    prose = "This problem has no solution, so that there is no answer here."
    rows = [row(answer, answer, source="math") for answer in (prose, "4.5e33", "12 or more")]
    file = write(tmp_path / "some.parquet", [*rows, row("c", "3")])
    code, out, _ = run(capsys, good, file)
    assert code == 1 and "prose answer, 1 rows: 0\n" in out and "fragile answer, 2 rows: 1, 2\n" in out
    assert "3 of 6 rows are wrong.\n--clean FOLDER writes the files there without the wrong rows" in out
    assert run(capsys, good, file, "--skip-answers")[0] == 0
    code, out, _ = run(capsys, good, file, "--clean", tmp_path / "clean")
    assert code == 0 and f"{tmp_path / 'clean' / 'some.parquet'}: 1 of 4 rows of {file}\n" in out
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
    prompts = [[{"role": role, "content": text} for role, text in chat] for chat in chats]
    # A question that extra_info holds is not what a model is shown.
    rows = [row(prompt=prompt, extra_info={"question": "?"}) for prompt in prompts]
    code, out, _ = run(capsys, write(tmp_path / "a.parquet", rows))
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


def test_where_clean_files_cannot_be_written_is_told_before_anything_is_read(tmp_path, capsys):
    (tmp_path / "text").write_text("")
    code, out, err = run(capsys, tmp_path / "gone.parquet", "--clean", tmp_path / "text")
    assert code == 2 and out == "" and f"{tmp_path / 'text' / 'gone.parquet'} cannot be written: " in err


def test_questions_of_the_training_data_are_told_of_by_row(tmp_path):
    train = write(tmp_path / "train.parquet", [row("a"), row("b")])
    val = write(tmp_path / "val.parquet", [row("c"), row("b", "another answer")])
    prompts = {}
    (report,) = check_files([train], prompts=prompts, progress=False)
    assert report.problems == {} and list(prompts.values()) == ["train.parquet row 0", "train.parquet row 1"]
    (report,) = check_files([val], prompts=prompts, progress=False)
    assert report.problems == {"also in the training data": [1]}
    assert report.messages["also in the training data"] == {"its prompt is that of train.parquet row 1": 1}


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ("{", "is no JSON"),
        ("[" * 100_000, "is no JSON"),
        ("[1]", "is no JSON object"),
        ('{"tokenize": false}', "tokenize is set by this command"),
        ('{"chat_template": 3}', "cannot be used"),
    ],
)
def test_options_that_no_template_takes_are_refused(tmp_path, capsys, given, named):
    model = save_tokenizer(tmp_path / "model", REFUSES_SYSTEM)
    arguments = [write(tmp_path / "a.parquet", [row()]), "--tokenizer", model, "--template-options", given]
    try:
        code = check.main(list(map(str, arguments)))
    except SystemExit as end:
        code = end.code
    assert code == 2 and named in capsys.readouterr().err
