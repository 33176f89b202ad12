"""What a model of the hub lacks on this machine, and whether the hub gives it."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import huggingface_hub
import pytest

from tests.refusals import refused
from verl_dots import hub

FIRST, SECOND = (f"model-0000{number}-of-00002.safetensors" for number in (1, 2))
PICKLE = "pytorch_model-00001-of-00001.bin"


def index(*names: str) -> str:
    return json.dumps({"metadata": {}, "weight_map": {f"layer{number}": name for number, name in enumerate(names)}})


@pytest.mark.parametrize(
    ("files", "missing"),
    [
        ({"model.safetensors": "x"}, ""),
        ({"pytorch_model.bin": "x"}, ""),
        ({}, "*.safetensors or *.bin or *.pt"),
        ({"model.safetensors.index.json": index(FIRST, SECOND), FIRST: "x", SECOND: "x"}, ""),
        # One shard of two, as a download that was broken off leaves it.
        ({"model.safetensors.index.json": index(FIRST, SECOND), FIRST: "x"}, SECOND),
        ({"pytorch_model.bin.index.json": index(PICKLE)}, PICKLE),
        # Beside safetensors nobody reads pickles.
        ({"model.safetensors": "x", "pytorch_model.bin.index.json": index(PICKLE)}, ""),
    ],
)
def test_weights_are_whole_if_what_is_read_of_them_is_there(files, missing, tmp_path):
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert hub.lacking_weights(tmp_path) == missing


def test_a_cache_lacks_a_models_config_or_its_weights_or_nothing(cached_model, tmp_path):
    snapshot = tmp_path / "hub/models--owner--model/snapshots/1"
    assert (hub.cached("owner/model"), hub.lacking("owner/model")) == (snapshot, "")
    (snapshot / "model.safetensors").unlink()
    assert hub.lacking("owner/model") == "*.safetensors or *.bin or *.pt"
    (snapshot / "config.json").unlink()
    assert hub.lacking("owner/model") == "config.json"
    for name in ("owner/other", "no name"):
        assert (hub.cached(name), hub.lacking(name)) == (None, "config.json")


def test_a_snapshot_that_the_hubs_own_list_calls_incomplete_is_looked_at_all_the_same(
    cached_model, tmp_path, monkeypatch
):
    snapshot = tmp_path / "hub/models--owner--model/snapshots/1"

    def incomplete(*_, **__):
        raise huggingface_hub.errors.IncompleteSnapshotError("README.md is missing", snapshot_path=str(snapshot))

    monkeypatch.setattr(huggingface_hub, "snapshot_download", incomplete)
    assert hub.lacking("owner/model") == ""


class Hub(BaseHTTPRequestHandler):
    """Gives owner/model away, and no other; to owner/slow it says nothing."""

    def do_HEAD(self):
        if self.path.startswith("/owner/slow"):
            time.sleep(1)
        found = self.path == "/owner/model/resolve/main/config.json"
        self.send_response(200 if found else 404)
        self.send_header("X-Repo-Commit", "1")
        self.send_header("ETag", '"1"')
        if not found:
            self.send_header("X-Error-Code", "RepoNotFound")
        self.send_header("Content-Length", "2")
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def own_hub(monkeypatch):
    """A hub on this machine, which is the one that is asked."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    with ThreadingHTTPServer(("127.0.0.1", 0), Hub) as server:
        address = f"http://127.0.0.1:{server.server_port}"
        template = address + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(huggingface_hub.constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join(10)


def test_the_hub_is_asked_for_a_model_and_not_for_long(own_hub, monkeypatch):
    hub.ask("owner/model")
    with refused("owner/other", "file", "404", kind=hub.HubError):
        hub.ask("owner/other")
    monkeypatch.setattr(hub, "ASK_SECONDS", 0.2)
    began = time.monotonic()
    with refused("owner/slow", "file", "Timeout", kind=hub.HubError):
        hub.ask("owner/slow")
    assert time.monotonic() - began < 0.9  # in its second nothing would have come
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with refused("owner/model", "file", "HF_HUB_OFFLINE", kind=hub.HubError):
        hub.ask("owner/model")


def test_a_hub_out_of_reach_gives_nothing(own_hub):
    own_hub.shutdown()
    own_hub.server_close()
    with refused("owner/model", "file", "ConnectError", kind=hub.HubError):
        hub.ask("owner/model")
