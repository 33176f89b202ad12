"""The shapes of models, of which sizes follow."""

import json

import pytest
import yaml

from tests.launches import ROOT
from tests.recipes.recipe_runs import METHODS, settings
from tests.refusals import refused
from verl_dots.training.shapes import MODELS, shape_of

pytestmark = pytest.mark.usefixtures("cpu_environment")


@pytest.mark.parametrize(
    ("model", "parameters"),
    [  # as the models' cards have them: 0.49, 1.54, 3.09 and 7.61 billion
        ("Qwen/Qwen2.5-0.5B", 494_032_768),
        ("Qwen/Qwen2.5-Math-1.5B", 1_543_714_304),
        ("Qwen/Qwen2.5-3B", 3_085_938_688),
        ("Qwen/Qwen2.5-7B", 7_615_616_512),
        ("deepseek-ai/DeepSeek-R1-Distill-Qwen-1.5B", 1_777_088_000),
    ],
)
def test_the_models_of_the_recipes_have_as_many_parameters_as_they_say(model, parameters):
    assert shape_of(model).parameters == parameters


def test_the_recipes_name_no_other_models():
    scripts = [(ROOT / "recipes" / script).read_text() for folder in METHODS for script in settings(folder)]
    named = {word for text in scripts for word in text.split() if word.startswith(("Qwen/", "deepseek-ai/"))}
    assert named and named <= set(yaml.safe_load(MODELS.read_text()))


def test_a_folders_model_is_read_and_one_that_is_not_there_is_refused(tmp_path):
    """The testbed's: 264 words of width 96, 3 blocks, 4 heads over 2 of width 24."""
    tiny = shape_of(str(ROOT / "recipes/cpu/tiny_model"))
    assert (tiny.layers, tiny.hidden, tiny.queries, tiny.keys, tiny.vocabulary, tiny.tied) == (
        3,
        96,
        96,
        48,
        264,
        False,
    )
    # embeddings 2 x 264 x 96; a block 96 x 96 x 2 + 96 x 48 x 2 + biases 192 + 3 x 96 x 256 + norms 192; a norm
    assert tiny.parameters == 50_688 + 3 * (18_432 + 9_216 + 192 + 73_728 + 192) + 96
    with refused(str(tmp_path), "file"):
        shape_of(str(tmp_path))


def test_a_model_with_code_of_its_own_is_refused_and_nobody_is_asked_to_run_it(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr("builtins.input", lambda text: asked.append(text) or "n")
    own = {"model_type": "own", "auto_map": {"AutoConfig": "configuration.Own"}}
    (tmp_path / "config.json").write_text(json.dumps(own))
    with refused(str(tmp_path), "file"):
        shape_of(str(tmp_path))
    assert asked == []
