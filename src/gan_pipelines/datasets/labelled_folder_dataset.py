"""Labelled synthetic images in the catalog."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from gan_pipelines.augmentation import SyntheticImages
from gan_pipelines.core.files import folder_name
from gan_pipelines.datasets.local_versioned import LocalVersionedDataset

DESCRIPTION_FILE = "dataset.json"


class LabelledFolderDataset(LocalVersionedDataset[SyntheticImages]):
    """`SyntheticImages` as a folder to ship: ``<class>/*.png`` and a description.

    torchvision's ``ImageFolder`` and ``dataset.source: image_folder`` read it; both number the classes in the order of
    their folders. ``dataset.json`` holds the class names in the project's order, the number of images, and provenance.
    A slash in a class name becomes a hyphen in the name of its folder. A class without images has no folder.

    Example in the catalog::

        "{variant}.synthetic_images":
          type: gan_pipelines.datasets.LabelledFolderDataset
          filepath: data/05_model_input/{variant}/synthetic_images
          versioned: true
    """

    def write(self, data: SyntheticImages, path: Path) -> None:
        """Write a PNG file for each image."""
        path.mkdir()
        folders = [path / folder_name(name) for name in data.class_names]
        for label in data.labels.unique().tolist():
            folders[label].mkdir()
        pixels = data.images.transpose(0, 2, 3, 1)
        for place, picture, label in zip(data.places.tolist(), pixels, data.labels.tolist(), strict=True):
            image = Image.fromarray(picture[:, :, 0] if picture.shape[2] == 1 else picture)
            image.save(folders[label] / f"{place:06d}.png")
        counts = torch.bincount(data.labels, minlength=len(folders)).tolist()
        description = {
            "images": len(data.images),
            "classes": [
                {"name": name, "folder": folder.name, "images": count}
                for name, folder, count in zip(data.class_names, folders, counts, strict=True)
            ],
            "provenance": dict(data.provenance),
        }
        (path / DESCRIPTION_FILE).write_text(json.dumps(description, indent=2))

    def load(self) -> SyntheticImages:
        """Read all images in the order of `SyntheticImages.places`."""
        folder = Path(self._get_load_path())
        description = json.loads((folder / DESCRIPTION_FILE).read_text())
        classes = description["classes"]
        files = sorted(
            (int(file.stem), label, file)
            for label, described in enumerate(classes)
            for file in (folder / described["folder"]).glob("*.png")
        )
        pixels = np.stack([np.asarray(Image.open(file)) for *_, file in files])
        images = (pixels if pixels.ndim == 4 else pixels[..., None]).transpose(0, 3, 1, 2)
        places, labels = (torch.tensor(values) for values in list(zip(*files, strict=True))[:2])
        names = tuple(described["name"] for described in classes)
        return SyntheticImages(np.ascontiguousarray(images), labels, places, names, description["provenance"])
