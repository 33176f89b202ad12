"""The files of all figures."""

import pytest
from matplotlib.image import imread

from tests.evidence import hand
from tests.evidence.figures.conftest import MATH, above, by_seed_of, evidence, line, rows, summary_of
from verl_dots.evidence.curves import SMOOTHING_TOLD
from verl_dots.evidence.figures.write import draw_figures, write_figures
from verl_dots.evidence.measuring import Measured, measure


def made():
    found = evidence(rows(training__effective_groups=lambda step: 0.5), rows("dots"))
    return found, Measured(by_seed_of(found), summary_of((MATH, "dots", "time", 0.4, 0.3, 0.5, 1, 1)))


def test_pngs_and_svgs_are_written_with_their_captions_and_the_rest_has_reasons(tmp_path):
    written = write_figures(*made(), tmp_path / "figures")
    assert [file.name for file, _ in written.drawn] == ["savings.png", "accuracy.png", "effective.png"]
    drawn = draw_figures(*made())
    assert [text for _, text in written.drawn] == [drawn[file.stem].text for file, _ in written.drawn]
    assert sorted(path.name for path in (tmp_path / "figures").iterdir()) == sorted(
        file.with_suffix(suffix).name for file, _ in written.drawn for suffix in (".png", ".svg")
    )
    missing = {name for name, one in drawn.items() if one.figure is None}
    assert {"rho", "replay", "entropy", "temperature", "adarft", "calibration", "budget", "pass_at_k"} == missing
    assert written.reasons == {name: drawn[name].text for name in missing}


def test_combinations_are_called_by_their_titles_as_in_the_tables():
    drawn = draw_figures(*made(), {MATH: "a short name"})
    assert drawn["accuracy"].text.startswith("Validation accuracy: a short name;")
    found = evidence(rows(), rows(combination="other"))
    same = draw_figures(found, Measured(by_seed_of(found), made()[1].summary), {MATH: "same", "other": "same"})
    titles = [axis.get_title() for axis in same["accuracy_steps"].figure.axes]
    assert titles == [MATH, "other"], "two of one title keep their names"


@pytest.mark.parametrize(("smoothing", "accuracies"), [
    ("none", [10, 50, 30, 70]), ("trailing", [10, 30, 30, 50]), ("monotone", [10, 40, 40, 70]),
])  # fmt: skip
def test_figures_are_of_the_smoothing_of_the_tables_also_of_short_runs(smoothing, accuracies):
    """Accuracies 0.1, 0.5, 0.3 and 0.7: means of three, or 0.5 and 0.3 pooled."""
    found = hand.evidence({("grpo", 1): hand.run({0: 0.1, 2: 0.5, 4: 0.3, 6: 0.7})})
    measured = measure(found, smoothing=smoothing)
    figure = draw_figures(found, measured)["accuracy"].figure
    assert SMOOTHING_TOLD[smoothing] in above(figure)[1]
    for axis in figure.axes:
        drawn = line(axis, "GRPO")[1]
        assert drawn[-1] == pytest.approx(100 * measured.by_seed.final_accuracy[0])
    assert line(figure.axes[0], "GRPO")[1] == pytest.approx(accuracies)


def test_files_repeat_byte_for_byte_and_are_as_wide_as_a_page(tmp_path):
    for name in ("one", "two"):
        write_figures(*made(), tmp_path / name)
    for file in (tmp_path / "one").iterdir():
        assert file.read_bytes() == (tmp_path / "two" / file.name).read_bytes()
    assert imread(tmp_path / "one" / "accuracy.png").shape[1] == 1400  # 7 inches at 200 dots
    assert b"<dc:date>" not in (tmp_path / "one" / "accuracy.svg").read_bytes()
