"""What is not loaded before the first node of a run."""

from __future__ import annotations

import subprocess
import sys

import pytest

CHECK = """
import sys
from gan_pipelines.project import preflight
print(*sorted({"torchvision", "torch_fidelity", "torch._dynamo"} & sys.modules.keys()))
"""


@pytest.mark.integration
def test_the_checks_before_a_run_load_neither_torchvision_nor_the_compiler():
    result = subprocess.run([sys.executable, "-c", CHECK], capture_output=True, text=True, check=True)
    assert result.stdout == "\n"
