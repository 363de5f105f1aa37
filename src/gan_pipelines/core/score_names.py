"""Names in scores that figures and metrics share."""

from __future__ import annotations

from typing import Final

HEADLINES: Final = ("fid", "is", "kid", "precision", "recall", "copies")
"""Metrics that are shown first."""
MILESTONE: Final = "milestone"
"""Generator, in the identity of scores, that was kept of an epoch on the way."""
MADE_ELSEWHERE: Final = "elsewhere"
"""Generator and set of weights, in the identity of scores, of images that no generator of the project has made."""
