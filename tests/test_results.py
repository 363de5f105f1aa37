"""The pages of docs/results say what the rows beside them say."""

from __future__ import annotations

import pytest

import pages


@pytest.mark.parametrize("page", pages.PAGES)
def test_a_page_is_what_its_rows_give(page):
    assert (pages.RESULTS / f"{page}.md").read_text() == pages.render(page)
