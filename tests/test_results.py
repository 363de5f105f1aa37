"""The pages of docs/results say what the rows beside them say."""

from __future__ import annotations

import shutil

import pandas as pd
import pytest

import pages


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
