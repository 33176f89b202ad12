"""The journal and the generations file, without an engine."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.refusals import refused
from verl_dots.data.asked_questions import AskedQuestion
from verl_dots.evaluation.data_sets import DataSet
from verl_dots.evaluation.storage import Generation, GenerationJournal, read_generations, write_generations

SETTINGS = {"model": "tiny, sha256 ab", "temperature": 0.6, "rollouts": 2}
RIGHT = Generation("so 2 #### 2", 5, 0.5, 1.0, "2", "stop")
WRONG = Generation("\x85 line\u2028s", 48, -0.5, 0.0, None, "length")


def data_set(label, *ids):
    return DataSet(label, tuple(AskedQuestion(name, "1+1?", "2", {"data_source": "arithmetic"}) for name in ids))


def test_the_journal_keeps_all_rollouts_of_a_question(tmp_path):
    with GenerationJournal(tmp_path / "journal.jsonl", SETTINGS) as journal:
        journal.add(("arithmetic", "a"), [RIGHT, WRONG])
    assert GenerationJournal(tmp_path / "journal.jsonl", SETTINGS).done == {("arithmetic", "a"): [RIGHT, WRONG]}


def test_generations_are_in_the_order_of_the_questions_whatever_was_done_first(tmp_path):
    sets = [data_set("arithmetic", "a", "b"), data_set("other", "a")]
    done = {("other", "a"): [WRONG, RIGHT], ("arithmetic", "b"): [WRONG, WRONG], ("arithmetic", "a"): [RIGHT, WRONG]}
    path, again = tmp_path / "new" / "generations.parquet", tmp_path / "again.parquet"
    write_generations(path, sets, done, {"settings": SETTINGS})
    write_generations(again, sets, dict(reversed(done.items())), {"settings": SETTINGS})
    assert path.read_bytes() == again.read_bytes()
    rows = pq.read_table(path).to_pylist()
    assert [(row["data_set"], row["question_id"], row["rollout"]) for row in rows] == [
        ("arithmetic", "a", 0), ("arithmetic", "a", 1), ("arithmetic", "b", 0), ("arithmetic", "b", 1),
        ("other", "a", 0), ("other", "a", 1),
    ]  # fmt: skip
    assert rows[5] == {
        "data_set": "other", "data_source": "arithmetic", "question_id": "a", "ground_truth": "2", "rollout": 1,
        "response": "so 2 #### 2", "tokens": 5, "reward": 0.5, "acc": 1.0, "answer": "2", "stop_reason": "stop",
    }  # fmt: skip
    assert rows[4]["response"] == WRONG.response
    assert rows[4]["answer"] is None


def test_generations_are_read_only_under_their_own_settings(tmp_path):
    path = tmp_path / "generations.parquet"
    write_generations(path, [data_set("arithmetic", "a")], {("arithmetic", "a"): [RIGHT]}, {"settings": SETTINGS})
    table = read_generations(path, SETTINGS)
    assert (table["reward"].to_pylist(), table["acc"].to_pylist()) == ([0.5], [1.0])
    assert "response" not in table.column_names
    with refused("rollouts", "other run", "2 there, 4 now"):
        read_generations(path, {**SETTINGS, "rollouts": 4})
    with pytest.raises(KeyError):
        write_generations(path, [data_set("arithmetic", "a", "b")], {("arithmetic", "a"): [RIGHT]}, {})
    assert read_generations(path, SETTINGS) == table


def test_another_file_holds_no_generations(tmp_path):
    pq.write_table(pa.table({"data_set": ["a"]}), tmp_path / "other.parquet")
    with refused("data_source", "data", "other.parquet", "'reward'", "--out"):
        read_generations(tmp_path / "other.parquet", SETTINGS)
    (tmp_path / "text.parquet").write_text("no parquet")
    with refused(str(tmp_path / "text.parquet"), "file"):
        read_generations(tmp_path / "text.parquet", SETTINGS)
