"""What recipes are run on where only their settings are looked at."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from omegaconf import DictConfig, OmegaConf

from tests.launches import question_row, save_untrained, write_rows
from tests.recipes.recipe_runs import Recipe, of_preset
from tests.refusals import changed
from verl_dots.data.file_lists import file_list

# Two rounds of DOTS at 512 questions a batch with 256 references; 1,024 of them of a difficulty in [10, 90].
QUESTIONS = 1400
TRAINING = (
    "math", "math_all", "deepscaler", "orz", "deepmath", "deepscaler_uniform", "deepscaler_difficult",
    "deepscaler_easy", "e3_train", "train",
)  # fmt: skip
VALIDATION = ("e3_valid", "gsm8k_test", "math500", "minerva", "olympiadbench", "amc23", "aime24", "val")


def row(number: int, question: str) -> dict:
    extra = {"index": number, "difficulty": number / QUESTIONS * 100, "level": 1 + number % 10}
    return question_row(question, data_source="math", extra_info=extra)


@pytest.fixture(scope="session")
def places(tmp_path_factory) -> dict[str, str]:
    """Variables of the recipes: a folder with their data, and a model."""
    folder = tmp_path_factory.mktemp("recipes")
    write_rows(folder / "questions.parquet", [row(i, f"What is {i} plus 1?") for i in range(QUESTIONS)])
    write_rows(folder / "question.parquet", [row(0, "What is 1 minus 0?")])
    for names, file in ((TRAINING, "questions"), (VALIDATION, "question")):
        for name in names:
            (folder / f"{name}.parquet").symlink_to(folder / f"{file}.parquet")
    save_untrained(folder / "model")
    names = {"DATA": folder, "MODEL": folder / "model", "CACHE": folder / "cache", "PREDICTOR": "online"}
    return {name: str(value) for name, value in names.items()}


@pytest.fixture(scope="session")
def composed(places):
    """The config of a recipe: that of its preset, changed as hydra would, which takes a second for each."""

    @cache
    def config_of(recipe: Recipe) -> DictConfig:
        given = recipe.given(f"dots.difficulty.cache={places['CACHE']}", **places)
        groups = [f"{key}={given.pop(key)}" for key in ("device", "dots.preset") if key in given]
        return changed(of_preset(*groups), [f"{key}={value}" for key, value in given.items()])

    return config_of


@pytest.fixture(scope="session")
def asks_anew() -> Callable[[DictConfig], bool]:
    """Whether no recipe before has put the same settings to the check of the data, which takes a second for each.

    The files that recipes name are links to two of `places`.
    """
    asked: set[str] = set()

    def is_new(config: DictConfig) -> bool:
        settings = {name: OmegaConf.to_container(config[name], resolve=True) for name in ("data", "reward")}
        for name in ("train_files", "val_files"):
            settings["data"][name] = [Path(file).resolve() for file in file_list(config.data[name])]
        found = f"{settings} {config.trainer.val_only} {config.actor_rollout_ref.model}"
        new = found not in asked
        asked.add(found)
        return new

    return is_new
