"""How many responses to one question may be alike."""

import math
import random
from dataclasses import dataclass

import pytest

from tests.launches import ROOT
from verl_dots.doctor import engine
from verl_dots.doctor.context import Context
from verl_dots.doctor.engine import ROLLOUTS, distinct, engine_overrides
from verl_dots.doctor.launching import on_device


@dataclass(frozen=True)
class Response:
    """What the check reads of verl's output."""

    token_ids: list[int]
    log_probs: list[float]


def drawn(chances: dict[int, float], generator: random.Random) -> list[Response]:
    """Independent responses of one token."""
    tokens = generator.choices([*chances], [*chances.values()], k=ROLLOUTS)
    return [Response([token], [math.log(chances[token])]) for token in tokens]


@pytest.mark.parametrize("first", [0.01, 0.05, 0.1, 0.3, 0.95])
def test_independent_responses_pass(first):
    """The likeliest has this probability. Around 0.6, which the question avoids, 1 in 4,000 would fail."""
    others = {token: (1 - first) / 100 for token in range(1, 101)}
    generator = random.Random(0)
    rows = [distinct(1.0, drawn({0: first, **others}, generator)) for _ in range(2000)]
    assert {row.outcome for row in rows} == {"pass"}


@pytest.mark.parametrize("kinds", [1, 2])
@pytest.mark.parametrize("chance", [0.001, 0.1])
def test_responses_of_one_seed_or_two_fail(kinds, chance):
    """Two of 16 that differ are not enough: 56 of 120 pairs are alike."""
    row = distinct(1.0, [Response([number % kinds], [math.log(chance)]) for number in range(ROLLOUTS)])
    assert row.outcome == "fail", row
    assert (
        row.value == f"{kinds}; {120 if kinds == 1 else 56} of 120 pairs are alike"
        and "by their log-probs" in row.limit
    )


@pytest.mark.usefixtures("cpu_environment")
@pytest.mark.parametrize(
    ("wanted", "gpus", "taken"),
    [
        (1, 8, 1),
        (2, 8, 2),
        (2, 1, 1),  # one GPU may be used
        (2, 3, 1),  # which two do not divide
        (4, 8, 1),  # the tiny model has two heads of keys
    ],
)
def test_the_checks_have_the_recipes_tensor_parallelism_where_the_tiny_model_has(wanted, gpus, taken, tmp_path):
    key = "actor_rollout_ref.rollout.tensor_model_parallel_size"
    given = ("actor_rollout_ref.rollout.name=vllm", f"{key}={wanted}", f"trainer.n_gpus_per_node={gpus}")
    context = Context(str(tmp_path), "r", given, gpus)
    assert {f"{key}={taken}", f"trainer.n_gpus_per_node={taken}"} <= {*engine_overrides(context)}
    assert {f"{key}={taken}", f"trainer.n_gpus_per_node={gpus}"} <= {*on_device([], context)}
    rows = engine._parallel(context)
    assert [row.outcome for row in rows] == ([] if taken == wanted else ["warning"])
    assert all(f"{wanted} GPUs in the recipe" in row.value and "--only stages" in row.fix for row in rows)


@pytest.mark.usefixtures("cpu_environment")
def test_the_recipes_of_7b_are_looked_at_with_two_gpus_an_engine(tmp_path):
    from verl_dots.launch.recipes import overrides_of

    for recipe, method in (("adarft/7b_easy.sh", "ppo"), ("e3/7b.sh", "e3")):
        given = overrides_of(ROOT / "recipes" / recipe, method)
        assert Context(str(tmp_path), recipe, tuple(given), 8).parallel == 2
        assert Context(str(tmp_path), recipe, ("device=cpu", *given), 0).parallel == 1
