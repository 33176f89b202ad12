"""What the doctor says of the model that embeds the questions."""

import pytest

from verl_dots.doctor import difficulty
from verl_dots.doctor.context import Context

pytestmark = pytest.mark.usefixtures("cpu_environment")
BACKBONES = ("device=cpu", "dots.selection.enable=True", "dots.difficulty.predictor=online")


def test_a_backbone_is_fetched_before_a_start_looks_at_it(cached_model, tmp_path, monkeypatch):
    """What the cache lacks comes from the hub; here the call that fetches puts the weights where they belong."""
    weights = tmp_path / "hub/models--owner--model/snapshots/1/model.safetensors"
    context = Context("", "r", (*BACKBONES, "dots.difficulty.backbone=owner/model"), 0)
    [row] = difficulty.backbone(context)
    assert (row.check, row.outcome) == ("backbone owner/model", "pass") and row.value.startswith("here: model-")
    there = weights.read_bytes()
    weights.unlink()
    [row] = difficulty.backbone(context)
    assert row.outcome == "fail" and "hf download owner/model" in row.fix
    fetched = []

    def fetch(name, **options):
        if not options.get("local_files_only"):
            fetched.append(name)
            weights.write_bytes(there)
        return str(weights.parent)

    monkeypatch.setattr("huggingface_hub.snapshot_download", fetch)
    [row] = difficulty.backbone(context)
    assert (row.outcome, fetched) == ("pass", ["owner/model"]) and row.value.startswith("fetched: model-")


def test_a_recipe_without_selection_needs_no_backbone():
    [row] = difficulty.backbone(Context("", "r", ("device=cpu", "dots.difficulty.backbone=owner/model"), 0))
    assert (row.outcome, row.value) == ("skipped", "r selects no questions")
