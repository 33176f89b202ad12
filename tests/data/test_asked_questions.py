"""Questions with the rows that score their responses."""

from tests import data_files
from tests.data_files import write
from tests.refusals import refused
from verl_dots.data.asked_questions import drawn, read_asked_questions


def row(number, **extra):
    chat = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": f"What is {number}+1?"}]
    return data_files.row(answer=str(number + 1), prompt=chat, extra_info={"index": number} | extra, unused="x")


def test_rows_of_files_whose_extra_fields_differ(tmp_path):
    files = [write(tmp_path / "a.parquet", [row(1, level=3)]), write(tmp_path / "b.parquet", [row(2, family="sum")])]
    questions = read_asked_questions(files)
    infos = [question.row["extra_info"] for question in questions]
    assert infos == [{"index": 1, "level": 3}, {"index": 2, "family": "sum"}]
    assert [question.text for question in questions] == ["What is 1+1?", "What is 2+1?"]
    assert "unused" not in questions[0].row


def test_the_prompt_may_have_another_name_and_there_may_be_no_extra_info(tmp_path):
    rows = [{"chat" if key == "prompt" else key: value for key, value in row(1).items() if key != "extra_info"}]
    file = write(tmp_path / "a.parquet", rows)
    [question] = read_asked_questions([file], prompt_key="chat")
    assert question.row["prompt"][1]["content"] == "What is 1+1?"
    with refused("prompt", "data", "a.parquet", "chat"):
        read_asked_questions([file])


def test_a_question_that_is_there_twice_is_asked_once_with_its_own_row(tmp_path):
    file = write(tmp_path / "a.parquet", [row(1), {**row(1), "data_source": "again"}, row(2)])
    questions = read_asked_questions([file])
    assert [question.row["reward_model"]["ground_truth"] for question in questions] == ["2", "3"]
    assert len({question.id for question in questions}) == 2


def test_a_draw_is_a_subset_in_order_and_depends_on_the_seed_alone(tmp_path):
    questions = read_asked_questions([write(tmp_path / "a.parquet", [row(number) for number in range(50)])])

    def places(count, seed):
        return [question.row["extra_info"]["index"] for question in drawn(questions, count, seed)]

    assert places(10, 3) == places(10, 3) == sorted(set(places(10, 3)))
    assert len(places(10, 3)) == 10
    assert places(10, 3) != places(10, 4)
    # As many as there are, or more, is all of them.
    assert places(50, 3) == places(99, 3) == places(None, 3) == list(range(50))
