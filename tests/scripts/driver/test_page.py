"""The part of the results' document, and the figure, of measurements by hand."""

import json
import subprocess
import sys

import pytest

from scripts.driver import figure, page
from scripts.driver.meters import AWAY, COLLECTION
from tests.scripts.driver.test_growth import cell
from tests.test_documents import MOST_WORDS, sentences, words

CELLS = [
    cell(rows, tokens, driver_peak=rows * tokens << 8, replay=rows * tokens << 5,
         advantages=rows * tokens / 2**21, metrics=rows / 2**12, **{AWAY: 99.0})
    for rows, tokens in ((1024, 2048), (256, 8192), (1024, 8192), (4096, 8192))
]  # fmt: skip


@pytest.fixture
def kept(tmp_path):
    file = tmp_path / "driver.json"
    file.write_text(json.dumps({"machine": "a processor, 2 cores", "cells": CELLS}))
    return file


def test_the_section_tells_stages_memory_and_growth(kept):
    text = page.section(kept)
    assert "evidence/driver.svg" in text and "It ran on a processor, 2 cores, at commit 0123456 on 2026-01-02." in text
    # 4,096 x 8,192 tokens by 2^21 a second: 16 s; of rows and of tokens in proportion. Workers are no stage.
    (row,) = [line for line in text.splitlines() if line.startswith("| advantages")]
    assert [each.strip() for each in row.split("|")[2:-1]] == [
        "16.00 (16.00 to 16.00)", "9.00 (9.00 to 9.00)", "8.00", "2.00", "1.00", "1.00",
    ]  # fmt: skip
    assert AWAY not in text
    # 2^25 tokens hold 8 GiB; 2^27 four times as much.
    (row,) = [line for line in text.splitlines() if ", reckoned " in line]
    assert [each.strip() for each in row.split("|")[2:-1]] == ["32.0", "8.0", "4.0"]
    assert page.last_lines(CELLS)[-1] == "superlinear: none" and "No stage's exponent was above 1.3." in text


def test_stages_that_grow_faster_than_the_bound_are_named_in_plain_sentences(kept):
    faster = {f"stage {number}": lambda rows: (rows / 2**10) ** 2 for number in range(40)}
    cells = [cell(rows, 2048, **{name: of(rows) for name, of in faster.items()}) for rows in (1024, 4096)]
    kept.write_text(json.dumps({"machine": "a processor, 2 cores", "cells": cells}))
    text = page.section(kept)
    told = text.partition("### Exponents above 1.3\n")[2]
    assert told.count("\n| stage ") == 40 + 1 and "No stage's" not in text  # and the heads
    (row,) = [line for line in told.splitlines() if line.startswith("| stage 0 ")]
    # (1,024 / 1,024)^2 and (4,096 / 1,024)^2 seconds; 40 stages of 16 s make a step.
    assert [each.strip() for each in row.split("|")[2:-1]] == [
        "rollouts, at 2,048 tokens", "1,024: 1.000 s; 4,096: 16.000 s", "2.00", "2.00", "2.5%",
    ]  # fmt: skip
    assert [each for each in sentences(text) if words(each) > MOST_WORDS] == []


def test_memory_that_grows_faster_than_the_bound_is_told_in_gibibytes():
    cells = [cell(rows, 2048, driver_peak=rows * rows << 8, a=1.0) for rows in (1024, 4096)]
    (row,) = page.faster_table(cells).sections[0].rows
    assert row == ("driver", "rollouts, at 2,048 tokens", "1,024: 0.250 GiB; 4,096: 4.000 GiB", "2.00", "2.00", "")
    assert page.faster_table(CELLS) is None


def test_growth_that_was_looked_into_has_its_reason(kept):
    seconds = {COLLECTION: lambda rows: rows**2, "state: read": lambda rows: rows**1.5, "other": lambda rows: rows**2}
    cells = [
        cell(rows, 2048, replay=rows << 20, **{name: of(rows / 1024) for name, of in seconds.items()})
        for rows in (1024, 4096)
    ]
    kept.write_text(json.dumps({"machine": "a processor, 2 cores", "cells": cells}))
    text = page.section(kept)
    assert text.count("\n- **") == 3 and f"- **{COLLECTION}**: a full pass looks at every container" in text
    # 4^1.5 the seconds of 4 times the bytes.
    assert "- **state: read**: over all sizes its seconds have an exponent of 1.50 with the bytes" in text
    assert "1,024 to 4,096 MiB" in text
    assert "- **other**: over all sizes its seconds have an exponent of 2.00 with rollouts times tokens." in text
    assert [one for one in sentences(text) if words(one) > MOST_WORDS] == []


PASSES = """
import gc
def looked_at(made):
    kept, looks = [], []
    look = lambda moment, about: looks.append(len(kept)) if (moment, about["generation"]) == ("start", 2) else None
    gc.collect(); gc.freeze(); gc.collect()
    gc.callbacks.append(look)
    for _ in range(made): kept.append([])
    gc.callbacks.remove(look)
    return sum(looks) / made
print(looked_at(150_000), looked_at(600_000))
"""


def test_full_passes_look_at_more_of_more_containers_and_at_five_times_as_many_at_most():
    done = subprocess.run([sys.executable, "-c", PASSES], capture_output=True, text=True, check=True)
    few, many = map(float, done.stdout.split())
    assert few == pytest.approx(0.6, abs=0.3) and many == pytest.approx(2.3, abs=0.7) and many <= 5


def test_a_measured_size_is_not_reckoned(kept):
    measured = [*CELLS, cell(*page.ASKED, a=1.0)]
    assert not any("reckoned" in row[0] for row in page.memory_table(measured).sections[0].rows)


def test_its_sentences_are_plain(kept):
    assert [one for one in sentences(page.section(kept)) if words(one) > MOST_WORDS] == []


def test_the_figure_has_every_holder_and_repeats_its_bytes(tmp_path):
    drawn = figure.draw(CELLS)
    labels = {text for panel in drawn.axes for text in panel.get_legend_handles_labels()[1]}
    assert labels == {figure.ALL, "advantages", "metrics", *figure.HOLDERS.values()}
    assert [panel.get_xscale() for panel in drawn.axes] == ["log"] * 4
    files = [tmp_path / "one.svg", tmp_path / "two.svg"]
    for file in files:
        figure.write(CELLS, file)
    assert files[0].read_bytes() == files[1].read_bytes()
