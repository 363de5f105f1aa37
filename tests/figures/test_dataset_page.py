from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gan_pipelines.figures import DatasetPage, PagePair, PairList, render_dataset_page
from gan_pipelines.figures.dataset_page import COLUMNS, MAX_BARS, MAX_LINES
from html_page import Page, loads_nothing

IMAGES = np.random.default_rng(0).integers(0, 256, (4, 1, 8, 8), np.uint8)
PAIR = PagePair((IMAGES[0], IMAGES[1]), ("<b>&1.png", "2.png"), ("ace", "king"), 0.9951)
DATASET = DatasetPage(
    name="cards <&>",
    folder="data/<cards>",
    facts=["levels: 0 to 255 of 255"],
    warnings=["files that are odd: 1 (<x>)."],
    class_counts={"train": {"ace": 30, "king": 10}, "test": {"ace": 10, "king": 0}},
    sizes=np.array([[20, 30]] * 3 + [[40, 30]]),
    image_size=8,
    level_counts=np.repeat([0, 5], [248, 8]),
    images={"ace": IMAGES[:2], "king": IMAGES[2:]},
    pairs=[PairList("In two classes", "Look.", 5, [PAIR, PAIR._replace(correlation=1.0)]), PairList("None", "", 0, [])],
    files={"Left out": [f"file {number}" for number in range(MAX_LINES + 7)], "None": []},
)


def texts(page):
    return " ".join(" ".join(Page(page).words).split())


@pytest.fixture(scope="module")
def page():
    return render_dataset_page(DATASET)


def test_the_page_is_complete_in_itself(page):
    assert loads_nothing(page)
    assert not Page(page).all("script")


def test_sections_without_content_are_left_out(page):
    parsed = Page(page)
    sections = [section["id"] for section in parsed.all("section")]
    assert sections == ["careful", "images", "balance", "sizes", "pairs1", "files"]
    assert [link["href"] for link in parsed.all("a")] == [f"#{section}" for section in sections]
    clean = replace(DATASET, warnings=[], pairs=[], files={})
    assert [section["id"] for section in Page(render_dataset_page(clean)).all("section")] == sections[1:4]
    assert "0 warnings nothing was found" in texts(render_dataset_page(clean))


def test_names_are_shown_as_they_are(page):
    for text in ("cards <&>", "data/<cards>", "files that are odd: 1 (<x>).", "<b>&1.png"):
        assert text in texts(page)
    assert not Page(page).all("x")


def test_pairs_are_beside_each_other_and_the_rest_is_counted(page):
    assert "In two classes 5 pairs Look. ace <b>&1.png king 2.png correlation 0.9951" in texts(page)
    assert "the same pixels And 3 more." in texts(page)
    assert [image["alt"] for image in Page(page).all("img")[2:]] == ["<b>&1.png", "2.png"] * 2


def test_bars_show_the_share_of_the_largest_class(page):
    bars = [(part["title"], part["style"]) for part in Page(page).all("i") if part.get("title", "").startswith("t")]
    assert bars == [
        ("train: 30", "width: 75.00%"),
        ("test: 10", "width: 25.00%"),
        ("train: 10", "width: 25.00%"),
        ("test: 0", "width: 0.00%"),
    ]


def test_sizes_and_levels_are_counted(page):
    columns = [part["title"] for part in Page(page).all("i") if " to " in part.get("title", "")]
    sides, levels = columns[:-COLUMNS], columns[-COLUMNS:]
    assert len(sides) == 11  # one for each number of pixels
    assert [text for text in sides if not text.endswith(": 0")] == ["20 to 20: 3", "30 to 30: 1"]
    assert [text for text in levels if not text.endswith(": 0")] == ["248 to 255: 40"]
    assert "20x30 3 40x30 1" in texts(page)


def test_pictures_of_one_size_have_no_histogram():
    assert "Shorter side" not in render_dataset_page(replace(DATASET, sizes=np.array([[30, 30]] * 4)))


def test_long_lists_are_cut():
    shown = texts(render_dataset_page(DATASET))
    assert f"file {MAX_LINES - 1} And 7 more." in shown
    assert f"file {MAX_LINES} " not in shown
    assert "None" not in shown
    counts = {"train": {f"class {number}": 1000 - number for number in range(MAX_BARS + 20)}}
    shown = texts(render_dataset_page(replace(DATASET, class_counts=counts)))
    assert "The largest and the smallest classes; 20 in between are left out." in shown
    assert "class 39 961 class 60 940" in shown
    assert f"And {MAX_BARS + 20 - len(DATASET.images)} more." in shown
