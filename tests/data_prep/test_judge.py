"""The judge against a stand-in endpoint: real requests over a socket."""

import asyncio
import json
import re
import time

import pyarrow.parquet as pq
import pytest

from data_prep import add_difficulty, deepscaler, judge
from data_prep.chat import Pace
from tests.data_prep.endpoint import Endpoint
from verl_dots.data.provenance import read_provenance

KEY = "sk-test"


@pytest.fixture
def endpoint(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    found = Endpoint()
    yield found
    found.server.shutdown()
    found.server.server_close()


@pytest.fixture
def data(tmp_path):
    """Ten questions, "What is 0?" to "What is 9?"."""
    rows = [{"problem": f"What is {i}?", "answer": str(i)} for i in range(10)]
    (tmp_path / "raw.json").write_text(json.dumps(rows))
    deepscaler.main(["--source", str(tmp_path / "raw.json"), "--out", str(tmp_path / "data.parquet")])
    return tmp_path / "data.parquet"


def run(endpoint, data, *arguments):
    out = data.with_name("labels.parquet")
    given = [str(data), "--endpoint", endpoint.url, "--model", "m", "--out", str(out), "--first-wait", "0.01"]
    return judge.main([*given, *map(str, arguments)]), out


def ratings(out):
    return pq.read_table(out)["rating"].to_pylist()


def test_questions_are_rated_and_the_labels_join_the_data(endpoint, data):
    code, out = run(endpoint, data)
    assert code == 0
    assert ratings(out) == ["1", "2", "3", "4", "5"] * 2
    assert pq.read_table(out)["difficulty"].to_pylist() == [0.0, 25.0, 50.0, 75.0, 100.0] * 2
    assert read_provenance(out)["counts"] == {"questions": 10, "rated": 10}
    path, key, body = endpoint.requests[0]
    assert (path, key, body["model"], body["temperature"]) == ("/v1/chat/completions", f"Bearer {KEY}", "m", 0.0)
    assert "boxed" not in body["messages"][-1]["content"]
    assert {file.name for file in data.parent.iterdir()} == {"raw.json", "data.parquet", "labels.parquet"}
    add_difficulty.main([str(data), "--labels", str(out), "--out", str(data.with_name("rated.parquet"))])
    infos = pq.read_table(data.with_name("rated.parquet"))["extra_info"].to_pylist()
    assert [info["difficulty"] for info in infos] == [0.0, 25.0, 50.0, 75.0, 100.0] * 2


def test_thirds(endpoint, data):
    endpoint.reply = lambda number: "Hmm.\n**Difficulty:** Hard" if number > 4 else " easy. "
    code, out = run(endpoint, data, "--scale", "thirds")
    assert code == 0
    assert pq.read_table(out)["difficulty"].to_pylist() == [0.0] * 5 + [100.0] * 5


def test_busy_and_broken_servers_are_asked_again(endpoint, data):
    endpoint.failures = [(429, {"Retry-After": "0.3"}), (500, {}), (503, {})]
    code, out = run(endpoint, data, "--concurrency", 1)
    assert code == 0 and len(ratings(out)) == 10 and len(endpoint.requests) == 13
    assert endpoint.times[1] - endpoint.times[0] >= 0.3


def test_a_server_that_stays_broken_ends_the_job_and_the_rest_is_done_next_time(endpoint, data, capsys):
    endpoint.failures = [(200, {})] * 4 + [(500, {})] * 3
    code, out = run(endpoint, data, "--concurrency", 1, "--retries", 2)
    assert code == 1 and not out.exists()
    assert "gave no answer in 3 tries, the last: status 500" in capsys.readouterr().err
    journal = out.with_name("labels.parquet.journal.jsonl")
    assert len(journal.read_text().splitlines()) == 5  # the settings and four ratings
    journal.write_bytes(journal.read_bytes()[:-9])  # the crash of a writer
    code, out = run(endpoint, data)
    assert code == 0 and ratings(out) == ["1", "2", "3", "4", "5"] * 2
    assert len(endpoint.requests) == 7 + 7
    assert not journal.exists()
    assert run(endpoint, data)[0] == 0 and len(endpoint.requests) == 14


@pytest.mark.parametrize(
    ("status", "advice"), [(401, "Is the API key right"), (403, "Is the API key right"), (404, "Is the address right")]
)
def test_refusals_end_the_job_at_once(endpoint, data, capsys, status, advice):
    endpoint.failures = [(status, {})] * 50
    code, out = run(endpoint, data, "--concurrency", 1)
    errors = capsys.readouterr().err
    assert code == 1 and len(endpoint.requests) == 1 and not out.exists()
    assert f"status {status}" in errors and advice in errors


@pytest.mark.parametrize("status", [400, 413, 422])
def test_one_question_that_is_refused_gets_no_rating_and_is_asked_for_again_next_time(endpoint, data, capsys, status):
    endpoint.failures = [(200, {})] * 3 + [(status, {})]
    code, out = run(endpoint, data, "--concurrency", 1)
    assert code == 0 and ratings(out) == ["1", "2", "3", "5", "1", "2", "3", "4", "5"]
    assert len(endpoint.requests) == 10 and read_provenance(out)["counts"] == {"questions": 10, "rated": 9}
    assert re.search(r"no rating\s+│\s+1", capsys.readouterr().out)
    assert not out.with_name("labels.parquet.journal.jsonl").exists()
    endpoint.failures = [(status, {})]
    assert run(endpoint, data)[0] == 0 and len(ratings(out)) == 9
    assert run(endpoint, data)[0] == 0 and ratings(out) == ["1", "2", "3", "4", "5"] * 2
    assert len(endpoint.requests) == 12


def test_refusals_before_the_first_answer_count_for_their_questions_too(endpoint, data):
    endpoint.failures = [(400, {})] * 7
    code, out = run(endpoint, data, "--concurrency", 1)
    assert code == 0 and ratings(out) == ["3", "4", "5"]


def test_an_endpoint_that_refuses_the_first_eight_questions_ends_the_job(endpoint, data, capsys):
    endpoint.failures = [(400, {})] * 50
    code, out = run(endpoint, data, "--concurrency", 1)
    assert code == 1 and len(endpoint.requests) == 8 and not out.exists()
    assert "refuses, status 400" in capsys.readouterr().err


def test_an_endpoint_that_refuses_the_few_questions_there_are_says_why(endpoint, tmp_path, capsys):
    (tmp_path / "raw.json").write_text('{"problem": "What is 1?", "answer": "1"}')
    deepscaler.main(["--source", str(tmp_path / "raw.json"), "--out", str(tmp_path / "data.parquet")])
    endpoint.failures = [(422, {})]
    code, out = run(endpoint, tmp_path / "data.parquet")
    assert code == 1 and not out.exists()
    assert "refuses, status 422" in capsys.readouterr().err


def test_nobody_there(data, endpoint, capsys):
    endpoint.url = "http://127.0.0.1:9/v1"
    assert run(endpoint, data, "--retries", 1)[0] == 1
    assert "gave no answer in 2 tries, the last: ConnectError" in capsys.readouterr().err
    endpoint.url = "not an address"
    with pytest.raises(SystemExit):
        run(endpoint, data)
    assert "--endpoint not an address is no address; it begins with http" in capsys.readouterr().err


def test_concurrency_is_bounded(endpoint, data):
    endpoint.delay = 0.05
    run(endpoint, data, "--concurrency", 3)
    assert endpoint.most_at_once <= 3


def test_requests_begin_at_the_pace(endpoint, data):
    before = time.monotonic()
    run(endpoint, data, "--requests-per-minute", 1200)
    # 1,200 a minute are 0.05 s apart: the tenth begins nine of them after the first, give or take the clocks.
    assert max(endpoint.times) - before > 9 * 0.05 - 0.001


def test_the_pace_is_kept_by_many_at_once():
    async def starts():
        pace, clock = Pace(6000), asyncio.get_running_loop().time
        begin = clock()

        async def one():
            await pace.wait()
            return clock() - begin

        return sorted(await asyncio.gather(*(one() for _ in range(10))))

    # 6,000 a minute are 0.01 s apart.
    assert all(start > 0.01 * place - 0.001 for place, start in enumerate(asyncio.run(starts())))


def test_replies_without_a_rating_are_asked_for_again_and_then_left_out(endpoint, data, capsys):
    endpoint.reply = lambda number: "I cannot say" if number == 3 else f"Difficulty: {1 + number % 5}"
    code, out = run(endpoint, data)
    assert code == 0 and len(ratings(out)) == 9 and len(endpoint.requests) == 12
    assert re.search(r"no rating\s+│\s+1", capsys.readouterr().out)
    endpoint.reply = lambda number: "Difficulty: 4"
    assert run(endpoint, data)[0] == 0
    assert ratings(out)[3] == "4" and len(endpoint.requests) == 13


def test_no_rating_at_all_is_an_error(endpoint, data, capsys):
    endpoint.reply = lambda number: "Difficulty: 7"
    code, out = run(endpoint, data)
    assert code == 1 and not out.exists()
    assert "none of the 10 replies held a rating" in capsys.readouterr().err


def test_other_settings_do_not_mix(endpoint, data, capsys):
    assert run(endpoint, data)[0] == 0
    assert run(endpoint, data, "--scale", "thirds")[0] == 2
    assert "written with other settings" in capsys.readouterr().err
    data.with_name("labels.parquet").unlink()
    endpoint.failures = [(200, {})] * 4 + [(401, {})] * 9
    assert run(endpoint, data, "--concurrency", 1)[0] == 1
    assert run(endpoint, data, "--scale", "thirds")[0] == 2
    assert "was made with other settings" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["--concurrency", "0"],
        ["--requests-per-minute", "-1"],
        ["--retries", "-1"],
        ["--scale", "1-10"],
        ["--timeout", "0"],
    ],
)
def test_bad_options_are_refused(endpoint, data, arguments):
    with pytest.raises(SystemExit) as caught:
        run(endpoint, data, *arguments)
    assert caught.value.code == 2


def test_data_that_is_none(endpoint, data, capsys):
    assert run(endpoint, data.with_name("gone.parquet"))[0] == 2
    assert "there is no file" in capsys.readouterr().err
