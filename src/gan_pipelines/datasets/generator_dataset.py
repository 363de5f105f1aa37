"""Generators in the catalog."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path, PurePosixPath

from gan_pipelines.datasets.local_versioned import LocalVersionedDataset
from gan_pipelines.gan import MilestoneStore, TrainedGenerator
from gan_pipelines.gan.checkpoint import SEPARATOR


class GeneratorDataset(LocalVersionedDataset[TrainedGenerator]):
    """A `TrainedGenerator` as one self-describing safetensors file; a loaded generator knows its version.

    Milestones are versions too, which are loaded only if they are named.

    Example in the catalog::

        "{variant}.generator":
          type: gan_pipelines.datasets.GeneratorDataset
          filepath: data/06_models/{variant}/generator.safetensors
          versioned: true

    Example in Python::

        generator = GeneratorDataset(filepath="generator.safetensors").load()
        images = generator.sample(64, seed=0)  # (64, C, H, W) uint8
    """

    @property
    def milestones(self) -> MilestoneStore:
        """The milestones among the versions."""
        return MilestoneStore(Path(self._filepath))

    def _get_versioned_path(self, version: str) -> PurePosixPath:
        path: PurePosixPath = super()._get_versioned_path(version)
        return PurePosixPath(self.milestones.path_of(version)) if SEPARATOR in version else path

    def write(self, data: TrainedGenerator, path: Path) -> None:
        """Write one file."""
        data.save(path)

    def load(self) -> TrainedGenerator:
        """Read the generator. Raises `kedro.io.DatasetError` if there is none, or it has another format."""
        return replace(TrainedGenerator.load(Path(self._get_load_path())), version=self.resolve_load_version())
