"""The page stands alone, shows what it is given, and takes no text for HTML."""

import base64
import re
from html.parser import HTMLParser

import pytest

from verl_dots.evidence.cells import Column, Figure, Missing, Section, Table, Why
from verl_dots.evidence.page import page, write_page

TABLE = Table(
    "first", "A & B", (Column("method"), Column("saved", "%", digits=1), Column("verdict")),
    (Section("<one>", (("GRPO", Figure(1.25, -1.0, 3.0), "missed"), ("DOTS", Missing(Why.NOT_RUN), "met"))),),
    ("A note.",),
)  # fmt: skip


class Tags(HTMLParser):
    """Opened and closed tags, attributes, and texts."""

    def __init__(self, text: str):
        super().__init__()
        self.open, self.attributes, self.cells, self.unbalanced = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.attributes += [(tag, *pair) for pair in attrs]
        if tag not in ("meta", "img", "link", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.unbalanced.append(tag)

    def handle_data(self, data):
        if self.open and self.open[-1] in ("td", "th"):
            self.cells.append(data)


@pytest.fixture
def figure(tmp_path):
    (tmp_path / "a.png").write_bytes(b"\x89PNG")
    (tmp_path / "a.svg").write_text("<svg/>")
    (tmp_path / "b.png").write_bytes(b"\x89PNG")
    return tmp_path


def test_tables_are_shown_with_the_class_of_each_cell():
    found = Tags(page("Title", {"machine": "two <cores>"}, [TABLE]))
    assert found.unbalanced == [] == found.open
    assert found.cells == [
        "method", "saved (%)", "verdict", "<one>", "GRPO", "1.2 [-1.0, 3.0]", "missed", "DOTS", "not run", "met",
    ]  # fmt: skip
    classes = [value for tag, name, value in found.attributes if (tag, name) == ("td", "class")]
    assert classes == ["text", "", "missed", "text", "missing", "met"]


def test_figures_are_inside_of_the_page_and_an_svg_wins_over_its_png(figure):
    text = page("Title", {}, [], [(figure / "a.png", 'First "one"'), (figure / "b.png", "Second")])
    sources = [value for tag, name, value in Tags(text).attributes if (tag, name) == ("img", "src")]
    assert sources[0] == f"data:image/svg+xml;base64,{base64.b64encode(b'<svg/>').decode()}"
    assert sources[1] == f"data:image/png;base64,{base64.b64encode(bytes([0x89]) + b'PNG').decode()}"
    assert ("img", "alt", 'First "one"') in Tags(text).attributes
    with pytest.raises(ValueError, match="c.pdf is no figure for a page; give .svg or .png"):
        page("Title", {}, [], [(figure / "c.pdf", "")])


def test_the_page_needs_no_other_file_and_no_network(figure):
    text = page("Title", {"commit": "abc"}, [TABLE], [(figure / "a.png", "caption")], commands="bash x.sh")
    links = [value for _, name, value in Tags(text).attributes if name in ("src", "href")]
    assert links and all(link.startswith(("data:", "#")) for link in links)
    assert not re.search(r"url\(|@import|<script|<link", text)
    write_page(figure / "index.html", text)
    assert (figure / "index.html").read_text(encoding="utf-8") == text


def test_figures_that_are_not_there_are_named_with_the_reason():
    text = page("Title", {}, [], not_drawn={"pass_at_k": "no run was <evaluated>"})
    found = Tags(text)
    assert found.unbalanced == [] == found.open
    assert "<li>pass_at_k: no run was &lt;evaluated&gt;</li>" in text and '<a href="#not-drawn">' in text
    assert "not-drawn" not in page("Title", {}, [])
