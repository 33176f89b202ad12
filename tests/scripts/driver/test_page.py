"""The part of the results' document, and the figure, of measurements by hand."""

import json

import pytest

from scripts.driver import figure, page
from scripts.driver.meters import AWAY
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
    assert "evidence/driver.svg" in text and "It ran on a processor, 2 cores." in text
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
    assert "Exponents above 1.3:\n\n- stage 0 (seconds with rows)\n" in text
    assert text.count("- stage ") == 40 and "No stage's" not in text
    assert [each for each in sentences(text) if words(each) > MOST_WORDS] == []


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
