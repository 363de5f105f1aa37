"""Nodes of the sampling of a variant."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gan_pipelines import figures, gan
from gan_pipelines.core.files import folder_name
from gan_pipelines.core.runtime import DeviceName

Pictures = dict[str, NDArray[np.uint8]]


def make_samples(
    generator: gan.TrainedGenerator, sampling: gan.SamplingConfig, device: DeviceName
) -> tuple[Pictures, Pictures]:
    """Generate images by class, named ``<class>/<number>``, and a grid with one row for each class."""
    samples = gan.sample_classes(generator, sampling, device)
    pictures = {
        f"{_folder(name)}{number:05d}": image.permute(1, 2, 0).numpy()
        for name, images in samples.items()
        for number, image in enumerate(images)
    }
    return pictures, {"grid": figures.make_class_grid(samples)}


def _folder(class_name: str | None) -> str:
    return "" if class_name is None else f"{folder_name(class_name)}/"
