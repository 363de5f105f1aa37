"""Folders of pictures."""

from __future__ import annotations

import numpy as np
from PIL import Image


def write_pictures(folder, splits=("train", "test"), classes=("ace", "king"), count=3, size=16):
    """Write small pictures, each another, to folder/<split>/<class>."""
    draws = np.random.default_rng(0)
    for split in splits:
        for name in classes:
            (folder / split / name).mkdir(parents=True)
            for number in range(count):
                pixels = draws.integers(0, 256, (size, size, 3), np.uint8)
                Image.fromarray(pixels).save(folder / split / name / f"{number}.png")
    return folder
