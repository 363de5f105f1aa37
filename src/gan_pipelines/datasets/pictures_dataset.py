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


class PicturesDataset(LocalVersionedDataset[Pictures]):
    """A folder of PNG files as a dict from names, without suffix, to uint8 pixels.

    Saved pixels are (height, width, 3), or (height, width, 1) for grey; loaded pixels are always (height, width, 3).
    A slash in a name makes a subfolder, as in ``seven/0001``. Kedro-viz shows the last picture by name.

    Example in the catalog::

        "{variant}.sample_grids":
          type: gan_pipelines.datasets.PicturesDataset
          filepath: data/07_model_output/{variant}/sample_grids
          versioned: true
    """

    def write(self, data: Pictures, path: Path) -> None:
        """Write a PNG file for each picture."""
        path.mkdir()
        for name, pixels in data.items():
            file = path / f"{name}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels.squeeze(axis=2) if pixels.shape[2] == 1 else pixels).save(file)

    def load(self) -> Pictures:
        """Read all pictures, ordered by name. Raises `kedro.io.DatasetError` if there is no folder."""
        folder = Path(self._get_load_path())
        return {
            file.relative_to(folder).with_suffix("").as_posix(): np.asarray(Image.open(file).convert("RGB"))
            for file in self._files(folder)
        }

    def preview(self) -> ImagePreview:
        """The last picture, for kedro-viz."""
        folder = Path(self._get_load_path())
        files = self._files(folder)
        if not files:
            raise FileNotFoundError(f"There is no picture in {folder}.")
        return ImagePreview(base64.b64encode(files[-1].read_bytes()).decode())

    def _files(self, folder: Path) -> list[Path]:
        if not folder.is_dir():
            raise FileNotFoundError(f"There is no folder {folder}.")
        return sorted(folder.rglob("*.png"), key=lambda file: file.with_suffix(""))
