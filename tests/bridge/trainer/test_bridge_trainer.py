"""The trainers, as the bridge's document tells of them."""

import inspect
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from transformers import AutoTokenizer

from tests.launches import plain_config, save_untrained

DOCUMENT = Path(__file__).parents[3] / "verl_dots/bridge/README.md"


def told() -> dict[str, set[str]]:
    """Class -> the methods of verl's that its row names."""
    rows = [line.split("|") for line in DOCUMENT.read_text().splitlines() if re.match(r"\| `\w+Trainer`", line)]
    named = [(re.findall(r"`(\w+)`", row[1]), set(re.findall(r"`(\w+)`", row[4]))) for row in rows]
    return {name: overrides for names, overrides in named for name in names}


@pytest.mark.usefixtures("cpu_environment")
def test_the_document_names_all_trainers_and_what_they_override():
    from verl.trainer.ppo.v1.trainer_base import PPOTrainer

    from verl_dots.training.modes import MODES

    classes = {one for mode in MODES.values() for one in mode.__mro__ if one.__module__.startswith("verl_dots.")}
    overrides = {
        one.__name__: {
            name
            for name, value in vars(one).items()
            if inspect.isfunction(value) and not name.startswith("__") and hasattr(PPOTrainer, name)
        }
        for one in classes
    }
    assert told() == overrides | {"PPOTrainer": set()}


@pytest.mark.usefixtures("cpu_environment")
def test_a_model_knows_the_tokens_of_its_embedding_which_its_tokenizer_need_not(tmp_path):
    from verl_dots.bridge.trainer.bridge_trainer import BridgeTrainer

    save_untrained(tmp_path)
    config = plain_config().copy()
    config.actor_rollout_ref.model.path = str(tmp_path)
    assert (
        BridgeTrainer.known_tokens(SimpleNamespace(config=config)) == 300 > len(AutoTokenizer.from_pretrained(tmp_path))
    )


@pytest.mark.usefixtures("cpu_environment")
def test_a_validation_has_figures_of_what_can_be_counted():
    """verl's own mean of the lists raises."""
    from verl_dots.training.modes import MODES

    for mode in MODES.values():
        one = mode.__new__(mode)
        beside = {"reward": [1.0, 0.0], "parsed": [["a"], ["b", "c"]]}
        figures = one._val_metrics_update(["math"] * 2, ["1", "1"], beside, [])
        assert figures["val-core/math/reward/mean@2"] == 0.5
        assert not any("parsed" in name for name in figures)
