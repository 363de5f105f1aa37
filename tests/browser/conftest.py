"""A browser for tests of what users see in one."""

from __future__ import annotations

import pytest

from browsing import CHROMEDRIVER, CHROMIUM, open_browser


@pytest.fixture(scope="session")
def browser():
    if not (CHROMIUM and CHROMEDRIVER):
        pytest.skip("There is no Chromium with its driver (Debian: chromium, chromium-driver).")
    with open_browser() as opened:
        yield opened
