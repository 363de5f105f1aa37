"""The pages of docs/results say what the rows beside them say."""

from __future__ import annotations

import shutil

import pandas as pd
import pytest
import torch

import pages
from scores import stratified_order


def test_floors_of_conditional_generators_have_the_class_frequencies_of_the_reference():
    labels = torch.tensor([0] * 40 + [1] * 20 + [2] * 20)
    first, second = (stratified_order(labels, torch.Generator().manual_seed(seed)) for seed in (0, 1))
    assert first.sort().values.tolist() == list(range(80))
    assert not torch.equal(first, second)
    for start in range(0, 80, 8):
        assert torch.bincount(labels[first[start : start + 8]]).tolist() == [4, 2, 2]


def test_the_overview_states_the_factor_of_the_page_on_scores():
    factor = pages.scores(pages.RESULTS / "scores")["raw_ratio"]
    assert f"more than {factor:.1f} times the other" in (pages.RESULTS / "README.md").read_text()


@pytest.mark.parametrize("page", pages.PAGES)
def test_a_page_is_what_its_rows_give(page):
    assert (pages.RESULTS / f"{page}.md").read_text() == pages.render(page)


def test_the_class_whose_recall_changes_most_may_be_one_whose_recall_rises(tmp_path):
    shutil.copytree(pages.RESULTS / "augmentation", tmp_path, dirs_exist_ok=True)
    table = pd.read_csv(tmp_path / "digits_class_comparisons.csv", dtype={"class": str})
    rows = (table["class"] == "4") & (table["baseline"] == "transformed")
    table.loc[rows, "recall_difference"] = 0.5
    table.to_csv(tmp_path / "digits_class_comparisons.csv", index=False)
    assert str(pages.augmentation(tmp_path)["most_changed"]["class"]) == "4"
