from verl_dots.config import DotsConfig
from verl_dots.console.lines import differing, folded, seconds_left, start_lines, step_line, validation
from verl_dots.methods.replay.settings import ReplayConfig

ROW = {
    "step": 5, "wall_seconds": 110.0, "critic/score/mean": 0.4219, "training/generated_tokens": 12345,
    "timing_s/step": 3.94, "val-core/math/acc/mean@4": 0.25, "val-core/gsm8k/acc/mean@4": 0.5,
    "val-core/gsm8k/acc/best@4/mean": 0.9,
}  # fmt: skip


def test_a_step_is_one_line():
    assert step_line(ROW, 60, 215.0) == (
        "step  5/60  reward 0.422  accuracy 37.5 %  12,345 tokens  3.9 s  3 min 35 s left"
    )
    assert step_line({"step": 7, "timing_s/save_checkpoint": 1.0, "timing_s/step": 2}, None) == "step 7  2.0 s  saved"
    assert step_line({"step": 60, "critic/score/mean": None}, 60, 0.0) == "step 60/60"


def test_validation_is_the_mean_over_data_sets_of_what_is_there():
    assert validation({"val-core/x/reward/mean@2": 0.5, "val-core/y/reward/mean@2": 1.5}) == "validation reward 1.000"
    assert validation({"val-core/x/acc/mean@2": 0.5, "val-core/x/reward/mean@2": 0.1}) == "accuracy 50.0 %"
    assert validation({"val-core/x/acc/mean@2": None, "critic/score/mean": 1.0}) == ""


def test_the_rest_of_a_run_takes_as_long_as_its_steps_so_far():
    # 10 s for each of 4 steps, 55 steps to come
    assert seconds_left({"step": 1, "wall_seconds": 70.0}, ROW, 60) == 550.0
    assert seconds_left(ROW, ROW, 60) is None
    assert seconds_left({"step": 1, "wall_seconds": 70.0}, ROW, None) is None


def test_settings_that_differ_are_named_in_full():
    given = {"seed": 3, "replay": {"enable": True, "delta": 0.5}, "adarft": {"range": [1, 10]}}
    default = {"seed": 1, "replay": {"enable": False, "delta": 0.5}, "adarft": {"range": [0, 100]}}
    assert differing(given, default) == ["dots.seed=3", "dots.replay.enable=True", "dots.adarft.range=[1,10]"]
    assert differing(default, default) == []


def test_long_lists_are_folded_below_their_beginning():
    assert folded(["aaa", "bbb", "ccc"], width=12, indent=4) == "aaa bbb\n    ccc"
    assert folded(["a-word-that-is-longer-than-a-line"], width=12, indent=4) == "a-word-that-is-longer-than-a-line"


def test_the_start_screen_has_two_columns_without_what_is_empty():
    assert start_lines({"model": "m", "run folder": "r", "validation": ""}) == ["  model       m", "  run folder  r"]


def test_settings_of_a_method_that_is_off_are_left_out():
    from verl_dots.launch.start_screen import changed_settings

    replay = ReplayConfig(enable=True, delta=0.25)
    assert changed_settings(DotsConfig(seed=4, replay=replay)) == ["dots.replay.enable=True", "dots.replay.delta=0.25"]
    assert changed_settings(DotsConfig(replay=ReplayConfig(delta=0.25))) == []
