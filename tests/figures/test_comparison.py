from __future__ import annotations

import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from gan_pipelines.figures import Arms, Comparison, render_comparison

HISTORY = pd.DataFrame({"epoch": [1, 2], "discriminator_loss": [1.0, 0.5], "fid_1k": [9.0, 8.0]})
GRID = np.zeros((8, 8, 3), np.uint8)
COMPARISON = Comparison(
    experiment="cards <&>",
    manifest={"images": 1797, "height": 32, "width": 32, "class_names": ["a", "b"], "split_sizes": {"train": 1797}},
    runs=pd.DataFrame({"run": ["2026"], "variant": ["dcgan"], "fid_ema": [2.787874], "flags": ["It is odd."]}),
    scores=pd.DataFrame({"variant": ["dcgan"], "fid_2k [aa]": ["2.8 (n=1)"]}),
    keys=pd.DataFrame({"key": ["aa"], "metric": ["fid"]}),
    verdicts=["dcgan against wgan: better."],
    histories={"dcgan": [HISTORY, HISTORY]},
    losses={"dcgan 2026": HISTORY},
    real=GRID,
    progress={"dcgan 2026": {1: GRID, 10: GRID, 20: GRID}},
    interpolations={"dcgan 2026": GRID},
    arms={
        "dcgan 2026": Arms(
            pd.DataFrame({"fraction": [0.1, 0.1], "arm": ["real", "real_longer"], "accuracy": [0.5, 0.6]}),
            pd.DataFrame(
                {
                    "fraction": [0.1], "arm": ["real_longer"], "baseline": ["real"], "is_primary": [False],
                    "difference": [0.1], "interval_low": [0.0], "interval_high": [0.2], "verdict": ["helps"],
                }
            ),
            ["It does not help."],
        )
    },
)  # fmt: skip


class Page(HTMLParser):
    """Elements and texts of a page; raises if elements are not nested properly."""

    VOID = ("meta", "img", "input", "path", "use", "rect")

    def __init__(self, text):
        super().__init__()
        self.open, self.elements, self.words = [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)

    def all(self, tag, **attributes):
        wanted = attributes.items()
        return [attrs for name, attrs in self.elements if name == tag and wanted <= attrs.items()]


@pytest.fixture(scope="module")
def page():
    return render_comparison(COMPARISON)


def test_the_page_loads_no_other_files(page):
    parsed = Page(page)
    assert all(image["src"].startswith("data:image/webp;base64,") for image in parsed.all("img"))
    assert parsed.all("link") == parsed.all("script", src="") == []
    assert "url(" not in re.sub(r"url\(#", "", page)


def test_every_section_is_present_and_linked(page):
    parsed = Page(page)
    sections = {section["id"] for section in parsed.all("section")}
    assert sections == {"scores", "epochs", "images", "help", "progress", "between", "losses", "runs"}
    assert {link["href"] for link in parsed.all("a")} == {f"#{section}" for section in sections}
    text = " ".join(parsed.words)
    assert "cards <&>" in text  # escaped in the page
    for words in (
        "1,797 images of 32x32",
        "2.8 (n=1)",
        "2.788",
        "dcgan against wgan: better.",
        "It does not help.",
        "Careful: It is odd.",
        "dcgan 2026, epoch 20",
    ):
        assert words in text
    assert "nan" not in text


def test_the_sample_grids_can_be_stepped_through(page):
    parsed = Page(page)
    (steps,) = parsed.all("input", type="range")
    frames = [image for image in parsed.all("img") if "data-epoch" in image]
    assert (steps["min"], steps["max"], steps["value"]) == ("0", "2", "2")
    assert [(frame["data-epoch"], "hidden" in frame) for frame in frames] == [("1", True), ("10", True), ("20", False)]


def test_figures_have_the_colour_of_the_text_and_unique_ids(page):
    figures = re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL)
    assert len(figures) == 4  # FID of all; loss and FID of one; arms
    assert all("currentColor" in figure and "#000000" not in figure for figure in figures)
    clips = [set(re.findall(r'clipPath id="(\w+)"', figure)) for figure in figures]
    assert all(clips)
    assert len(set.union(*clips)) == sum(map(len, clips))


def test_one_run_without_augmentation_experiment_or_history_has_a_page():
    bare = Comparison(
        "digits",
        {},
        COMPARISON.runs,
        COMPARISON.scores,
        COMPARISON.keys,
        [],
        {},
        {},
        GRID,
        progress={},
        interpolations={},
        arms={},
    )
    sections = {section["id"] for section in Page(render_comparison(bare)).all("section")}
    assert sections == {"scores", "images", "runs"}


def test_the_same_runs_give_the_same_page(page):
    assert render_comparison(COMPARISON) == page
