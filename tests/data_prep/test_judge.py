"""The judge against a stand-in endpoint: real requests over a socket."""

import asyncio
import gzip
import json
import re
import sys
import threading
import time
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pyarrow.parquet as pq
import pytest

from data_prep import add_difficulty, deepscaler, judge
from data_prep.chat import MOST_BYTES, Chat, ChatSettings, EndpointError
from tests.data_prep.script_runs import infos_of, prepared, problems, refusal
from verl_dots.data.provenance import read_provenance

KEY = "sk-test"


class Endpoint:
    """A chat endpoint that rates "What is 3?" with 1 + 3 % 5; `failures` are answered first, in order.

    `odd` come before them: functions that write an answer of their own, all but its status.
    """

    def __init__(self):
        self.requests, self.times, self.failures, self.odd = [], [], [], []
        self.most_at_once = self._at_once = 0
        self.delay = 0.0
        self.reply = lambda number: f"Difficulty: {1 + number % 5}"
        self._lock = threading.Lock()
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):  # noqa: N802  the name that http.server calls
                endpoint.answer(self)

            def log_message(self, *_):
                pass

        class Server(ThreadingHTTPServer):
            def handle_error(
                self, *_
            ):  # a client that closes early: what a server prints of it is no message of the client
                if not isinstance(sys.exception(), ConnectionError):
                    super().handle_error(*_)

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"
        # By default it looks twice a second whether it is to end.
        threading.Thread(target=self.server.serve_forever, args=[0.01], daemon=True).start()

    def answer(self, handler):
        body = json.loads(handler.rfile.read(int(handler.headers["Content-Length"])))
        with self._lock:
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
            self.times.append(time.monotonic())
            self.requests.append((handler.path, handler.headers["Authorization"], body))
            odd = self.odd.pop(0) if self.odd else None
            failure = self.failures.pop(0) if self.failures and odd is None else None
        if odd is not None:
            with self._lock:
                self._at_once -= 1
            handler.send_response(200)
            odd(handler)
            return
        time.sleep(self.delay)
        number = int(re.search(r"What is (\d+)", body["messages"][-1]["content"]).group(1))
        status, headers = failure or (200, {})
        reply = {"choices": [{"message": {"role": "assistant", "content": self.reply(number)}}]}
        told = {"error": f"{handler.headers['Authorization']} is not welcome at {self.url}"}  # as some servers do
        content = json.dumps(reply if status == 200 else told).encode()
        with self._lock:
            self._at_once -= 1
        handler.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(content)


@pytest.fixture
def endpoint(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    found = Endpoint()
    yield found
    found.server.shutdown()
    found.server.server_close()


@pytest.fixture
def data(tmp_path):
    """Ten questions, "What is 0 + 1?" to "What is 9 + 1?"."""
    return prepared(deepscaler, tmp_path, problems(10), name="data")


def run(endpoint, data, *arguments):
    out = data.with_name("labels.parquet")
    given = [str(data), "--endpoint", endpoint.url, "--model", "m", "--out", str(out), "--first-wait", "0.01"]
    return judge.main([*given, *map(str, arguments)]), out


def ratings(out):
    return "".join(pq.read_table(out)["rating"].to_pylist())


def test_questions_are_rated_and_the_labels_join_the_data(endpoint, data):
    code, out = run(endpoint, data)
    assert code == 0
    assert ratings(out) == "1234512345"
    assert pq.read_table(out)["difficulty"].to_pylist() == [0.0, 25.0, 50.0, 75.0, 100.0] * 2
    assert read_provenance(out)["counts"] == {"questions": 10, "rated": 10}
    path, key, body = endpoint.requests[0]
    assert (path, key, body["model"], body["temperature"]) == ("/v1/chat/completions", f"Bearer {KEY}", "m", 0.0)
    assert "boxed" not in body["messages"][-1]["content"]
    assert {file.name for file in data.parent.iterdir()} == {"raw.jsonl", "data.parquet", "labels.parquet"}
    add_difficulty.main([str(data), "--labels", str(out), "--out", str(data.with_name("rated.parquet"))])
    assert infos_of(data.with_name("rated.parquet"), "difficulty") == [0.0, 25.0, 50.0, 75.0, 100.0] * 2


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


def written(handler, content, **headers):
    """Write headers, the length among them, and then the content."""
    for name, value in {"Content-Length": str(len(content)), **headers}.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(content)


def broken_gzip(handler):
    written(handler, b"no gzip", Content_Encoding="gzip")


def unending_parts(handler):
    """A byte at a time, each of which comes soon after the one before."""
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    for _ in range(200):
        handler.wfile.write(b" ")
        time.sleep(0.05)


def too_long(handler):
    written(handler, b" " * (MOST_BYTES + 1))


def too_long_unzipped(handler):
    written(handler, gzip.compress(b" " * (MOST_BYTES + 1)), Content_Encoding="gzip")


@pytest.mark.parametrize(
    ("odd", "problem"),
    [
        (broken_gzip, "DecodingError"),
        (unending_parts, "no whole answer within 1 s"),
        (too_long, "an answer of more than 16,777,216 bytes"),
        (too_long_unzipped, "an answer of more than 16,777,216 bytes"),
    ],
)
def test_an_answer_that_is_broken_late_or_too_long_is_asked_for_again(endpoint, data, capsys, caplog, odd, problem):
    timeout = 1 if odd is unending_parts else 60
    endpoint.odd = [odd]
    code, out = run(endpoint, data, "--concurrency", 1, "--timeout", timeout)
    assert code == 0 and ratings(out) == "1234512345" and len(endpoint.requests) == 11
    assert problem in caplog.text
    out.unlink()
    endpoint.odd = [odd] * 2
    assert run(endpoint, data, "--concurrency", 1, "--timeout", timeout, "--retries", 1)[0] == 1
    assert f"gave no answer in 2 tries, the last: {problem}" in capsys.readouterr().err


def message(content):
    return json.dumps({"choices": [{"message": {"content": content}}]}).encode()


def test_a_reply_in_parts_is_their_text(endpoint, data):
    parts = [
        {"type": "reasoning", "summary": "Difficulty: 1"},
        {"type": "text", "text": "Diffi"},
        {"type": "text", "text": "culty: 5"},
    ]
    endpoint.odd = [partial(written, content=message(parts))]
    code, out = run(endpoint, data, "--concurrency", 1)
    assert code == 0 and ratings(out) == "5234512345"


@pytest.mark.parametrize(
    "content",
    [
        b"[" * 100_000,
        b"\xff",
        b"[]",
        b'{"choices": {}}',
        message({"text": "Difficulty: 1"}),
        message(5),
        message(["Difficulty: 1"]),
        message([{"type": "text"}]),
        message([{"type": "text", "text": None}]),
    ],
    ids=lambda content: content[:60].decode(errors="replace"),
)
def test_an_answer_that_is_no_reply_ends_the_job_and_is_told(endpoint, data, capsys, content):
    endpoint.odd = [partial(written, content=content)]
    code, out = run(endpoint, data, "--concurrency", 1)
    assert code == 1 and not out.exists() and len(endpoint.requests) == 1
    assert "the endpoint does not answer like one for chats" in capsys.readouterr().err


def test_a_server_that_stays_broken_ends_the_job_and_the_rest_is_done_next_time(endpoint, data, capsys):
    endpoint.failures = [(200, {})] * 4 + [(500, {})] * 3
    code, out = run(endpoint, data, "--concurrency", 1, "--retries", 2)
    assert code == 1 and not out.exists()
    assert "gave no answer in 3 tries, the last: status 500" in capsys.readouterr().err
    journal = out.with_name("labels.parquet.journal.jsonl")
    assert len(journal.read_text().splitlines()) == 5  # the settings and four ratings
    journal.write_bytes(journal.read_bytes()[:-9])  # the crash of a writer
    code, out = run(endpoint, data)
    assert code == 0 and ratings(out) == "1234512345"
    assert len(endpoint.requests) == 7 + 7
    assert not journal.exists()
    assert run(endpoint, data)[0] == 0 and len(endpoint.requests) == 14


@pytest.mark.parametrize(
    ("status", "questions", "asked", "advice"),
    [
        (401, 10, 1, "Is the API key right"),
        (403, 10, 1, "Is the API key right"),
        (404, 10, 1, "Is the address right"),
        # These may be a matter of the one question, but not where the first eight are refused, or all there are.
        (400, 10, 8, ""),
        (422, 1, 1, ""),
    ],
)
def test_refusals_end_the_job(endpoint, tmp_path, capsys, status, questions, asked, advice):
    endpoint.failures = [(status, {})] * 50
    data = prepared(deepscaler, tmp_path, problems(questions), name="data")
    code, out = run(endpoint, data, "--concurrency", 1)
    errors = capsys.readouterr().err
    assert code == 1 and len(endpoint.requests) == asked and not out.exists()
    assert f"refuses, status {status}" in errors and advice in errors


@pytest.mark.parametrize("status", [400, 413, 422])
def test_one_question_that_is_refused_gets_no_rating_and_is_asked_for_again_next_time(endpoint, data, capsys, status):
    endpoint.failures = [(200, {})] * 3 + [(status, {})]
    code, out = run(endpoint, data, "--concurrency", 1)
    assert code == 0 and ratings(out) == "123512345"
    assert len(endpoint.requests) == 10 and read_provenance(out)["counts"] == {"questions": 10, "rated": 9}
    assert re.search(r"no rating\s+│\s+1", capsys.readouterr().out)
    assert not out.with_name("labels.parquet.journal.jsonl").exists()
    endpoint.failures = [(status, {})]
    assert run(endpoint, data)[0] == 0 and len(ratings(out)) == 9
    assert run(endpoint, data)[0] == 0 and ratings(out) == "1234512345"
    assert len(endpoint.requests) == 12


def test_refusals_before_the_first_answer_count_for_their_questions_too(endpoint, data):
    endpoint.failures = [(400, {})] * 7
    code, out = run(endpoint, data, "--concurrency", 1)
    assert code == 0 and ratings(out) == "345"


@pytest.mark.parametrize("failures", [[401], [500] * 3, [400] * 9, [204, 204], []])
def test_neither_the_key_nor_the_address_is_in_any_message(endpoint, data, capfd, caplog, failures):
    endpoint.failures = [(status, {}) for status in failures]
    if not failures:
        endpoint.url = "http://user:sk-test@127.0.0.1:9/v1"
    with caplog.at_level("DEBUG"):
        run(endpoint, data, "--concurrency", 1, "--retries", 1)
    told = "".join(capfd.readouterr()) + caplog.text
    assert "the endpoint" in told
    assert not [part for part in (KEY, "127.0.0.1", str(endpoint.server.server_port)) if part in told]


@pytest.mark.parametrize(
    "key", ["sk-verysecret\r", "sk-very secret", "sk-verys\u00e9cret", "sk-verysecret\n", "\tsk-very"]
)
def test_a_key_that_no_header_can_hold_is_refused_by_the_name_of_its_variable(endpoint, data, capfd, monkeypatch, key):
    monkeypatch.setenv("JUDGE_KEY", key)
    code, out = run(endpoint, data, "--api-key-env", "JUDGE_KEY")
    told = "".join(capfd.readouterr())
    place = next(place for place, letter in enumerate(key, start=1) if letter in "\r\n\t \u00e9")
    assert code == 2 and not endpoint.requests and not out.exists()
    assert f"the key in JUDGE_KEY has a character at place {place} that no header may have" in told
    assert "sk-very" not in told


def test_a_key_is_hidden_as_a_server_writes_it_in_its_json(endpoint, data, capfd, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", 'sk-\\very"secret')
    endpoint.failures = [(401, {})]
    assert run(endpoint, data, "--concurrency", 1)[0] == 1
    told = "".join(capfd.readouterr())
    assert "Bearer ***" in told and "secret" not in told


def test_a_key_is_hidden_as_an_exception_writes_it(endpoint):
    async def ask():
        async with Chat(ChatSettings(endpoint.url, "m", api_key="sk-verysecret\r", retries=0)) as chat:
            await chat.ask([{"role": "user", "content": "What is 3?"}])

    with pytest.raises(EndpointError, match=r"Illegal header value b'Bearer \*\*\*'"):
        asyncio.run(ask())


@pytest.mark.parametrize(
    "endpoint",
    ["user:secret@here", "http://", "http://secret:x/v1", "http://[secret", "ftp://secret", "localhost:8000"],
)
def test_an_address_that_is_none_is_not_told(tmp_path, capsys, endpoint):
    given = ["gone.parquet", f"--endpoint={endpoint}", "--model", "m", "--out", tmp_path / "out.parquet"]
    told = refusal(capsys, judge.main, *given)
    assert "--endpoint is no address; it begins with http:// or https://" in told
    assert "secret" not in told and "localhost" not in told


def test_nobody_there(data, endpoint, capsys):
    endpoint.url = "http://127.0.0.1:9/v1"
    assert run(endpoint, data, "--retries", 1)[0] == 1
    assert "gave no answer in 2 tries, the last: ConnectError" in capsys.readouterr().err


def test_concurrency_is_bounded(endpoint, data):
    endpoint.delay = 0.05
    run(endpoint, data, "--concurrency", 3)
    assert endpoint.most_at_once <= 3


def test_requests_begin_at_the_pace(endpoint, data):
    before = time.monotonic()
    run(endpoint, data, "--requests-per-minute", 1200)
    # 1,200 a minute are 0.05 s apart, give or take the clocks; eight workers wait for their turns at once.
    assert all(start - before > 0.05 * place - 0.001 for place, start in enumerate(sorted(endpoint.times)))


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
    ("option", "value", "message"),
    [
        ("--concurrency", "0", "must be a number above 0"),
        ("--timeout", "nan", "must be a number above 0"),
        ("--requests-per-minute", "-1", "must be a number above 0"),
        ("--retries", "-1", "must be a number of at least 0"),
        ("--first-wait", "inf", "must be a number of at least 0"),
        ("--temperature", "nan", "must be a number"),
    ],
)
def test_options_are_checked_before_anything_is_read(tmp_path, capsys, option, value, message):
    given = ["gone.parquet", "--endpoint", "http://localhost:9", "--model", "m", "--out", tmp_path / "out.parquet"]
    assert re.search(f"{option} {value}:? {message}", refusal(capsys, judge.main, *given, f"{option}={value}"))


def test_data_that_is_none(endpoint, data, capsys):
    assert run(endpoint, data.with_name("gone.parquet"))[0] == 2
    assert "there is no file" in capsys.readouterr().err
