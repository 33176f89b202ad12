"""A stand-in for a chat endpoint: real requests over a socket, counted and answered."""

import json
import re
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Endpoint:
    """A chat endpoint that rates "What is 3?" with 1 + 3 % 5; `failures` are answered first, in order."""

    def __init__(self):
        self.requests, self.times, self.failures = [], [], []
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

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, handler):
        body = json.loads(handler.rfile.read(int(handler.headers["Content-Length"])))
        with self._lock:
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
            self.times.append(time.monotonic())
            self.requests.append((handler.path, handler.headers["Authorization"], body))
            failure = self.failures.pop(0) if self.failures else None
        time.sleep(self.delay)
        number = int(re.search(r"What is (\d+)", body["messages"][-1]["content"]).group(1))
        status, headers = failure or (200, {})
        reply = {"choices": [{"message": {"role": "assistant", "content": self.reply(number)}}]}
        content = json.dumps(reply if status == 200 else {"error": "no"}).encode()
        with self._lock:
            self._at_once -= 1
        handler.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(content)
