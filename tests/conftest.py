"""The order of the tests, and what all of them share."""

from __future__ import annotations

import pytest

LONGEST = [
    "test_cli.py",
    "test_sweep.py",
    "test_tracker.py",
    "test_pruning.py",
    "test_serving.py",
    "test_resume.py",
    "test_adding_a_variant.py",
    "test_extractors.py",
]


def pytest_configure(config):
    """Load the shared fixtures, and PyTorch with them, only in a process that runs tests."""
    if not config.getoption("numprocesses", None) or hasattr(config, "workerinput"):
        config.pluginmanager.import_plugin("shared_fixtures")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Begin with the longest files."""
    items.sort(key=lambda item: [*LONGEST, item.path.name].index(item.path.name))
