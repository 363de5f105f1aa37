from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="module", autouse=True)
def _tests_are_importable_elsewhere():
    """Let processes of Ray import the module ``tasks``, and end Ray with the tests of a file."""
    paths = [str(Path(__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(paths))
        yield
    if "ray" in sys.modules:
        sys.modules["ray"].shutdown()
