import pytest

from tests.refusals import refused
from verl_dots.simulation.settings import BATCH, DEFAULTS, parse_grid, settings_of


def made(*overrides, policies=("dots",), grid=None, questions=5000):
    return settings_of(policies, overrides, grid or {}, DEFAULTS, questions)


def test_a_grid_is_read_with_lists_as_values():
    grid = parse_grid(["dots.selection.alpha=0.3,0.5", "dots.mopps.prior=[1,1],[2,2]"])
    assert grid == {"dots.selection.alpha": ["0.3", "0.5"], "dots.mopps.prior": ["[1,1]", "[2,2]"]}


@pytest.mark.parametrize("text", ["dots.selection.alpha", "dots.selection.alpha=", "dots.selection.alpha=0.3,,0.5"])
def test_a_grid_without_values_is_refused(text):
    with refused("--grid", "type", text):
        parse_grid([text])


def test_a_key_twice_or_one_that_changes_nothing_is_refused():
    with refused("dots.selection.mu", "excluded"):
        parse_grid(["dots.selection.mu=1", "dots.selection.mu=2"])
    with refused("trainer.save_freq", "unknown"):
        parse_grid(["trainer.save_freq=1,2"])
    with refused("dots.preset", "excluded"):
        made("dots.preset=grpo")


def test_every_combination_is_a_setting_with_the_values_of_its_preset():
    grid = parse_grid(["dots.selection.tau=1e-3,0.05", "dots.replay.delta=0.25,1"])
    found = made("dots.replay.capacity=400", policies=("dots_rr",), grid=grid)
    assert [(one.dots.selection.tau, one.dots.replay.delta) for one in found] == [
        (0.001, 0.25), (0.001, 1), (0.05, 0.25), (0.05, 1),
    ]  # fmt: skip
    assert all(one.dots.replay.overlap == "buffer" and one.dots.replay.capacity == 400 for one in found)
    assert found[0].label == "dots_rr tau=1e-3 delta=0.25" and found[0].batch_size == 512


def test_what_a_run_refuses_is_refused():
    with refused("dots.selection.alhpa", "unknown", "dots.selection.alpha"):
        made("dots.selection.alhpa=0.3")
    with refused("dots.selection.alpha", "range"):
        made("dots.selection.alpha=1.3")
    with refused("dots.replay.capacity", "size"):  # a batch replays 256
        made("dots.replay.capacity=100", policies=("dots_rr",))
    with refused("actor_rollout_ref.actor.policy_loss.loss_mode", "excluded"):
        made("dots.replay.enable=True", policies=("grpo",))
    with refused("dots.preset", "choice"):
        made(policies=("dotz",))


def test_sizes_that_the_pool_does_not_allow_are_refused():
    with refused("dots.selection.references", "size"):
        made("dots.selection.references=600", f"{BATCH}=8", questions=500)
    with refused(BATCH, "size"):
        made(questions=500)


def test_methods_without_a_model_are_refused():
    with refused("dots.refill.enable", "excluded"):
        made("dots.refill.enable=True")


@pytest.mark.parametrize("policy", ["grpo", "adarft", "mopps", "e3"])
def test_other_presets_are_simulated(policy):
    (found,) = made(policies=(policy,))
    assert found.values == {"policy": policy} and found.rollouts == 8


def test_stopping_early_is_simulated_and_refused_as_a_run_refuses_it():
    (found,) = made("dots.stop_early.enable=True", "dots.stop_early.first=0.25")
    assert found.dots.stop_early.enable and found.dots.stop_early.first == 0.25
    with refused("dots.selection.enable", "excluded"):
        made("dots.stop_early.enable=True", policies=("grpo",))


def test_what_would_be_simulated_twice_is_refused():
    with refused("dots.replay.delta", "excluded", "0.50 is given twice"):
        parse_grid(["dots.replay.delta=0.5,0.50"])
    with refused("--policy", "excluded"):
        made(policies=("dots", "dots"))
    with refused("dots.selection.mu", "excluded", "dots.selection.mu=1"):
        made("dots.selection.mu=1", grid={"dots.selection.mu": ["0.5"]})


def test_a_temperature_that_is_no_number_is_refused():
    with refused("actor_rollout_ref.rollout.temperature", "range", "=x"):
        made(grid={"actor_rollout_ref.rollout.temperature": ["x"]})


def test_keys_of_one_name_are_told_apart():
    (found,) = made(grid={"dots.selection.enable": ["True"], "dots.replay.enable": ["False"]})
    assert found.label == "dots selection.enable=True replay.enable=False"
