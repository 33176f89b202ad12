"""What the doctor says of a model of the hub."""

import pytest

from tests.data_files import save_tokenizer
from verl_dots import hub
from verl_dots.doctor import model
from verl_dots.doctor.context import Context

pytestmark = pytest.mark.usefixtures("cpu_environment")


@pytest.fixture
def row_of(cached_model, tmp_path):
    """The row of owner/model, whose tokenizer is in the cache."""
    save_tokenizer(tmp_path / "hub/models--owner--model/snapshots/1")
    context = Context("", "r", ("device=cpu", "actor_rollout_ref.model.path=owner/model"), 0)
    return lambda: model.model(context)[0]


def test_a_whole_model_in_the_cache_passes(row_of):
    row = row_of()
    assert (row.check, row.outcome, row.value) == ("model owner/model", "pass", "in the hub's cache")


def test_without_weights_a_model_passes_only_where_the_hub_gives_them(row_of, tmp_path, monkeypatch):
    (tmp_path / "hub/models--owner--model/snapshots/1/model.safetensors").unlink()
    row = row_of()
    assert row.outcome == "fail" and "*.safetensors" in row.value and "HF_HUB_OFFLINE" in row.value
    assert "hf download owner/model" in row.fix
    monkeypatch.setattr(hub, "ask", lambda name: None)
    row = row_of()
    assert row.outcome == "pass" and "*.safetensors" in row.value and "the first start fetches it" in row.value
