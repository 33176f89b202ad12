"""Any setting and any cell of the data: what is wrong is refused before Ray by key or row, and what is valid is not.

The examples are the same in every run; `-m long` draws thousands.
"""

import math

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from omegaconf import OmegaConf

from scripts import bad_inputs
from tests.launch.rows_of_data import bad_cells, good_rows
from tests.launch.test_values import base
from tests.launch.valid_runs import LOSS, N, methods, valid_runs, wrong_settings
from verl_dots.data.checks import check_files
from verl_dots.data.file_report import ERRORS
from verl_dots.launch.start import validate
from verl_dots.rewards import compute
from verl_dots.settings import ConfigError

pytestmark = pytest.mark.usefixtures("cpu_environment")
QUIET = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.filter_too_much]
# Without shrinking, which asks the checks a hundred times more.
PHASES = [Phase.explicit, Phase.generate]
SHORT = settings(
    max_examples=10, derandomize=True, database=None, deadline=None, suppress_health_check=QUIET, phases=PHASES
)
LONG = settings(SHORT, max_examples=2000, derandomize=False, print_blob=True, phases=[*PHASES, Phase.shrink])


def run_with(folder, given: dict[str, object]):
    config = base(folder).copy()
    for key, value in given.items():
        OmegaConf.update(config, key, value, merge=False)
    return config


def refused_setting(folder, case) -> None:
    """The valid run starts, and with the wrong value it is refused by its key, with what is allowed."""
    given, key, value = case
    with pytest.raises(ConfigError) as caught:
        validate(run_with(folder, given | {key: value}), data=False)
    error = caught.value
    assert error.key == key and key in str(error) and error.reason in ("type", "range", "choice", "unknown", "missing")
    assert "must be" in str(error) or error.reason == "unknown"  # unknown: a value that names another one in vain


@SHORT
@given(wrong_settings())
@example(({}, "dots.seed", 10**400))
@example(({}, "dots.selection.tau", 10**400))
@example(({}, "actor_rollout_ref.actor.optim.lr", 10**5000))
@example(({}, "dots.preset", "${nowhere}"))
@example(({}, "dots.poll_seconds", math.nan))
@example(({}, "data.train_batch_size", "???"))
def test_a_wrong_value_is_refused_by_its_key(run_folder, case):
    refused_setting(run_folder, case)


@pytest.mark.long
@LONG
@given(wrong_settings())
def test_thousands_of_wrong_values(run_folder, case):
    refused_setting(run_folder, case)


@SHORT
@given(valid_runs())
@example({N: 8, "dots.replay.enable": True, LOSS: "grpo_rr", "dots.refill.enable": True})
def test_a_valid_run_passes_every_check(run_folder, given):
    assert validate(run_with(run_folder, given), data=False)


@pytest.mark.long
@LONG
@given(valid_runs())
def test_thousands_of_valid_runs(run_folder, given):
    assert validate(run_with(run_folder, given), data=False)


@pytest.mark.long
@LONG
@given(methods(), methods())
def test_methods_in_any_combination_pass_or_are_refused_by_a_key(run_folder, one, other):
    try:
        validate(run_with(run_folder, one | other), data=False)
    except ConfigError as error:
        assert error.key and error.key in str(error) and error.reason in ("excluded", "missing", "size", "range")


def run_on(folder, rows: list[dict]):
    file = bad_inputs.write_rows(folder / "drawn.parquet", rows)
    return file, run_with(folder, {"data.train_files": str(file), "data.max_prompt_length": 400})


def refused_cell(folder, case) -> None:
    """The check of a run names the row, and the command finds it too; or the column, where its type is another."""
    rows, number, column = case
    file, config = run_on(folder, rows)
    with pytest.raises(ConfigError) as caught:
        validate(config)
    words = str(caught.value)
    assert caught.value.key == "data.train_files"
    if f"{column} is " in words and f"row {number}: " not in words:
        return
    assert f"row {number}: " in words
    if "its prompt has" not in words:  # which takes a tokenizer
        (report,) = check_files([file], rewards=compute, progress=False)
        assert number in report.numbers(ERRORS)


@SHORT
@given(bad_cells())
def test_a_wrong_cell_is_refused_by_its_row(run_folder, case):
    refused_cell(run_folder, case)


@pytest.mark.long
@LONG
@given(bad_cells())
def test_thousands_of_wrong_cells(run_folder, case):
    refused_cell(run_folder, case)


@SHORT
@given(good_rows())
def test_odd_text_that_can_be_seen_is_data(run_folder, rows):
    assert validate(run_on(run_folder, rows)[1])


@pytest.mark.long
@LONG
@given(good_rows())
def test_thousands_of_odd_texts(run_folder, rows):
    assert validate(run_on(run_folder, rows)[1])


def assert_up_to_date(lines: list[dict[str, str]]) -> None:
    stale = [line for line, now in zip(lines, bad_inputs.filled(lines), strict=True) if line != now]
    assert stale == [], "run python -m scripts.bad_inputs --write"


def test_the_table_of_refusals_has_each_input_once_with_the_key_or_row():
    lines = bad_inputs.read()
    assert len({(line["where"], line["input"]) for line in lines}) == len(lines) > 200
    for line in lines:
        assert line["key"] in line["message"] or f"{line['where']}: " in line["message"], line
        assert line["key"] and line["reason"], line
    assert f"lists {len(lines)} inputs" in (bad_inputs.TABLE.parent / "README.md").read_text()


def test_the_table_of_refusals_is_what_the_checks_say():
    """Of every twelfth input, as a few of them open the data; `-m long` asks about all."""
    assert_up_to_date(bad_inputs.read()[::12])


@pytest.mark.long
def test_all_of_the_table_of_refusals_is_what_the_checks_say():
    assert_up_to_date(bad_inputs.read())
