"""Generators of chosen epochs on disk."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from gan_pipelines.core.files import atomic_write, delete
from gan_pipelines.gan.checkpoint import SEPARATOR
from gan_pipelines.gan.sampling import TrainedGenerator


class MilestoneStore:
    """Generators of chosen epochs, each with a version such as ``<fingerprint>-epoch-0010``.

    A training has a subfolder named by its fingerprint. If the root is the folder of a versioned catalog entry,
    milestones are one level deeper than its other versions, where Kedro does not look for the newest.

    Attributes:
        root: the folder. It is created by the first milestone.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def save(self, generator: TrainedGenerator) -> str:
        """Write a generator, in place of an earlier one of the same training and epoch, and return its version.

        Raises:
            OSError: if it cannot be written; an earlier one stays.
        """
        version = f"{generator.training['fingerprint']}{SEPARATOR}{generator.training['epoch']:04d}"
        with atomic_write(self.path_of(version)) as unfinished:
            replace(generator, training={**generator.training, "milestone": True}).save(unfinished)
        return version

    def path_of(self, version: str) -> Path:
        """The file of a milestone, whether it is there or not."""
        fingerprint, _, epoch = version.partition(SEPARATOR)
        return self.root / fingerprint / f"epoch-{epoch}" / self.root.name

    def list_versions(self) -> list[str]:
        """The versions of all milestones, ordered by training and epoch."""
        return sorted("-".join(path.parts[-3:-1]) for path in self._find("*"))

    def list_epochs(self, fingerprint: str) -> list[int]:
        """The epochs of the milestones of one training."""
        return sorted(int(path.parent.name.removeprefix("epoch-")) for path in self._find(fingerprint))

    def list_trainings(self) -> dict[str, float]:
        """Time of the newest milestone of each training that has one, in seconds since the epoch."""
        return dict(sorted((path.parts[-3], path.stat().st_mtime) for path in self._find("*")))

    def discard(self, fingerprint: str) -> None:
        """Delete the milestones of one training."""
        delete(self.root / fingerprint)

    def _find(self, fingerprint: str) -> list[Path]:
        return [path for path in self.root.glob(f"{fingerprint}/epoch-*/{self.root.name}") if path.parts[-3][0] != "."]
