from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from gan_pipelines.figures import Arms, Comparison, Measured, render_comparison
from gan_pipelines.figures.comparison import FRAMES_PER_VARIANT, MAX_FRAMES
from html_page import Page, loads_nothing

HISTORY = pd.DataFrame({"epoch": [1, 2], "discriminator_loss": [1.0, 0.5], "fid_1k": [9.0, 8.0]})
GRID = np.zeros((8, 8, 3), np.uint8)
RUN = ("dcgan", "2026-11-26T02.48.37.263Z")
COMPARISON = Comparison(
    experiment="cards <&>",
    manifest={"images": 1797, "height": 32, "width": 32, "class_names": ["a", "b"], "split_sizes": {"train": 1797}},
    names={("dcgan", "abcdef"): "dcgan (batch_size 8)"},
    measured=[
        Measured(
            {"samples": 2000, "extractor": "resnet8", "reference_hash": "0" * 64},
            pd.DataFrame(
                {
                    "variant": "dcgan", "recipe": "abcdef", "trained_epochs": 20, "generator": ["last", "best"],
                    "weights": "ema", "metric": "fid", "key": "fedcba98", "mean": [2.8, 2.5], "std": [0.1, 0.2], "n": 3,
                }
            ),
        )
    ],
    pairs=pd.DataFrame({"weights": ["ema"], "verdict": ["better"], "sentence": ["dcgan against wgan: better."]}),
    flags={"dcgan (batch_size 8)": ["Seed 0: It is odd."]},
    histories={"dcgan (batch_size 8)": [HISTORY.assign(seed=0), HISTORY.assign(seed=1)]},
    losses={RUN: HISTORY},
    real=GRID,
    progress={RUN: dict.fromkeys(range(1, 21), GRID)},
    interpolations={RUN: GRID},
    neighbours={RUN: GRID},
    arms={
        RUN: Arms(
            pd.DataFrame({"fraction": [0.1, 0.1], "arm": ["real", "real_longer"], "accuracy": [0.5, 0.6]}),
            pd.DataFrame(
                {
                    "fraction": [0.1], "arm": ["real_longer"], "baseline": ["real"], "is_primary": [False],
                    "difference": [0.1], "interval_low": [0.0], "interval_high": [0.2], "verdict": ["helps"],
                }
            ),
            [{"sentence": "It does not help."}],
        )
    },
    runs=pd.DataFrame(
        {
            "run": [RUN[1]], "variant": ["dcgan"], "seed": [0], "epochs": [20], "recipe": ["abcdef"],
            "fid_ema": [2.787874], "flags": ["It is odd."], "training": ["0123456789abcdef"],
        }
    ),
)  # fmt: skip


@pytest.fixture(scope="module")
def page():
    return render_comparison(COMPARISON)


def test_the_page_loads_no_other_files(page):
    parsed = Page(page)
    assert parsed.all("img")
    assert loads_nothing(page)


def test_every_section_is_present_and_linked(page):
    parsed = Page(page)
    sections = [section["id"] for section in parsed.all("section")]
    assert sections == ["epochs", "scores", "images", "help", "between", "neighbours", "losses", "runs"]
    assert [link["href"] for link in parsed.all("a")] == [f"#{section}" for section in sections]
    text = " ".join(parsed.words)
    assert "cards <&>" in text  # escaped in the page
    for words in (
        "1 scored run, 1 augmentation experiment",
        "1,797 images of 32x32",
        "2.79",
        "26 Nov 2026, 02:48 UTC",
        "dcgan against wgan: better.",
        "It does not help.",
        "Seed 0: It is odd.",
        "60.0 %",
        "+10.0 (+0.0 to +20.0)",
    ):
        assert words in text
    assert "nan" not in text


def test_the_first_figure_is_fid_by_epoch_of_all_recipes(page):
    parsed = Page(page)
    first = page[page.index("<figure") : page.index("</figure>")]
    assert "<h3>FID, 1k samples</h3>" in first
    lines = Page(first + "</figure>").all("g")
    told = [(line["data-label"], line["data-detail"], line["data-epochs"], line["data-values"]) for line in lines]
    assert told == [("dcgan (batch_size 8)", f"seed {seed}", "1 2", "9 8") for seed in (0, 1)]
    assert parsed.all("button", **{"data-label": "dcgan (batch_size 8)"})


class Unfolded(Page):
    """The texts that are seen before anything is unfolded."""

    def __init__(self, text):
        self.folds = []
        super().__init__(text)

    def handle_starttag(self, tag, attrs):
        super().handle_starttag(tag, attrs)
        if tag == "details":
            self.folds.append("open" not in dict(attrs))

    def handle_endtag(self, tag):
        super().handle_endtag(tag)
        if tag == "details":
            self.folds.pop()

    def handle_data(self, data):
        if not any(self.folds):
            super().handle_data(data)


def test_hashes_are_folded_away(page):
    seen, everything = (" ".join(parser(page).words) for parser in (Unfolded, Page))
    assert "2,000 samples" in seen
    for text in ("0" * 64, "fedcba98", "abcdef", "0123456789abcdef"):
        assert text in everything
        assert text not in seen


def test_the_sample_grids_can_be_stepped_through(page):
    parsed = Page(page)
    (steps,) = parsed.all("input", type="range")
    frames = [(frame["data-epoch"], "hidden" in frame) for frame in parsed.all("img") if "data-epoch" in frame]
    assert (steps["min"], steps["max"], steps["value"]) == ("0", "7", "7")
    assert [frames[0], frames[-1]] == [("1", True), ("20", False)]
    assert len(frames) == FRAMES_PER_VARIANT


def test_many_variants_share_the_frames_of_a_page():
    runs = {(f"variant{number}", "1"): dict.fromkeys(range(1, 21), GRID) for number in range(30)}
    page = Page(render_comparison(replace(COMPARISON, progress=runs)))
    assert 2 * 30 <= len([image for image in page.all("img") if "data-epoch" in image]) <= MAX_FRAMES


def test_a_page_of_augmentation_results_alone_shows_them():
    scoreless = replace(
        COMPARISON, names={}, measured=[], pairs=COMPARISON.pairs[:0], flags={}, histories={}, losses={}, progress={},
        interpolations={}, neighbours={}, runs=COMPARISON.runs[:0],
    )  # fmt: skip
    page = Page(render_comparison(scoreless))
    assert [section["id"] for section in page.all("section")] == ["images", "help"]
    assert "It does not help." in page.words


def test_one_run_without_augmentation_experiment_or_history_has_a_page():
    bare = replace(
        COMPARISON, manifest={}, pairs=COMPARISON.pairs[:0], flags={}, histories={}, losses={}, progress={},
        interpolations={}, neighbours={}, arms={},
    )  # fmt: skip
    sections = [section["id"] for section in Page(render_comparison(bare)).all("section")]
    assert sections == ["scores", "images", "runs"]


def test_the_same_runs_give_the_same_page(page):
    assert render_comparison(COMPARISON) == page
