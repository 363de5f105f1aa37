"""Prepared images have the pixels that they had when the hashes in golden.json were written."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gan_pipelines.core.hashing import hash_arrays
from gan_pipelines.core.stores import KeyedStore
from gan_pipelines.images import DatasetConfig, prepare_image_set

GOLDEN = json.loads((Path(__file__).parents[1] / "fixtures/golden.json").read_text())["images"]
SETTINGS = {
    "digits_32": {"source": "digits", "image_size": 32, "channels": 1},
    "folder_16": {"source": "image_folder", "image_size": 16, "channels": 3},
    "folder_16_grey_box": {"source": "image_folder", "image_size": 16, "channels": 1, "resize_filter": "box"},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Colour pictures of 20x24 pixels: 2 splits with 2 classes of 3 pictures each."""
    root = tmp_path_factory.mktemp("pictures")
    draws = np.random.default_rng(7)
    for split in ("train", "test"):
        for name in ("cats", "dogs"):
            (root / split / name).mkdir(parents=True)
            for number in range(3):
                pixels = draws.integers(0, 256, (24, 20, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(root / split / name / f"{number}.png")
    return root


@pytest.mark.parametrize("name", SETTINGS)
def test_the_pixels_of_prepared_images_have_not_changed(name, folder, tmp_path):
    settings = SETTINGS[name]
    path = str(folder) if settings["source"] == "image_folder" else None
    images = prepare_image_set(KeyedStore(tmp_path), DatasetConfig(**settings, path=path))
    found = {"pixels": hash_arrays([np.asarray(images.images)]), "content_hash": images.content_hash}
    assert found == GOLDEN[name], (
        "The same pictures and settings give other pixels. If that is meant, raise LAYOUT_VERSION in images/prepare.py "
        "and write the new hashes into tests/fixtures/golden.json."
    )
