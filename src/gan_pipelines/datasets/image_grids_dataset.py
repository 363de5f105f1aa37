"""Named pictures in the catalog."""

from __future__ import annotations

import base64
from pathlib import Path

import numpy as np
from kedro_datasets._typing import ImagePreview
from numpy.typing import NDArray
from PIL import Image

from gan_pipelines.datasets.local_versioned import LocalVersionedDataset

Pictures = dict[str, NDArray[np.uint8]]


class ImageGridsDataset(LocalVersionedDataset[Pictures]):
    """A folder of PNG files, from and to a dict of their names, without suffix, and (height, width, 3) uint8 pixels.

    Kedro-viz shows the last by name.

    Example in the catalog::

        "{variant}.sample_grids":
          type: gan_pipelines.datasets.ImageGridsDataset
          filepath: data/07_model_output/{variant}/sample_grids
          versioned: true
    """

    def write(self, data: Pictures, path: Path) -> None:
        """Write one PNG for each picture."""
        path.mkdir()
        for name, pixels in data.items():
            Image.fromarray(pixels).save(path / f"{name}.png")

    def load(self) -> Pictures:
        """Read all pictures, ordered by name. Raises `kedro.io.DatasetError` if there are none."""
        return {file.stem: np.asarray(Image.open(file).convert("RGB")) for file in self._files()}

    def preview(self) -> ImagePreview:
        """The last picture, for kedro-viz."""
        return ImagePreview(base64.b64encode(self._files()[-1].read_bytes()).decode())

    def _files(self) -> list[Path]:
        folder = Path(self._get_load_path())
        files = sorted(folder.glob("*.png"))
        if not files:
            raise FileNotFoundError(f"{folder} holds no PNG files.")
        return files
