"""The form in which the project keeps images: labelled uint8 arrays of one size, ordered by split, memory-mapped."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gan_pipelines.core.config import ConfigError
from gan_pipelines.core.hashing import hash_dataset
from gan_pipelines.images.config import Fit, ValueRange
from gan_pipelines.images.duplicates import Duplicate, ImageRows, find_repeated

IMAGES_FILE = "images.npy"
LABELS_FILE = "labels.npy"
HASHES_FILE = "image_hashes.npy"
THUMBNAILS_FILE = "thumbnails.npy"
NAMES_FILE = "names.json"
MANIFEST_FILE = "manifest.json"


@dataclass(frozen=True)
class ImageSet:
    """Images with their labels, ordered by split.

    Attributes:
        images: (N, C, H, W) uint8 with 1 (grey) or 3 (RGB) channels; memory-mapped if loaded from disk.
        image_hashes: (N, 32) uint8, as returned by `hash_images`.
        labels: (N,) int64 indices into ``class_names``.
        class_names: names of the classes.
        split_sizes: number of images of each split, in the order of ``images``.
        resize_filter: Pillow filter that resized the images.
        names: name of each image: its file, or its position in the source.
        thumbnails: (N, T) float32, as returned by `make_thumbnails`.
        skipped: files that could not be used, each with the reason.
        duplicates: images that have a duplicate or near-duplicate in an earlier split.
        fit: how oblong pictures became square.
        value_range: values of pictures with more than 8 bits that became black and white; None without such pictures.
        levels: smallest and largest level of all images, or None if unknown.
        first_frames: files of several frames or pages, of which only the first was read.
        left_out: number of files that are no pictures, by suffix, and of pictures that are hidden.
    """

    images: NDArray[np.uint8]
    image_hashes: NDArray[np.uint8]
    labels: NDArray[np.int64]
    class_names: tuple[str, ...]
    split_sizes: Mapping[str, int]
    resize_filter: str
    names: tuple[str, ...]
    thumbnails: NDArray[np.float32]
    skipped: tuple[str, ...] = ()
    duplicates: tuple[Duplicate, ...] = ()
    fit: Fit = "crop"
    value_range: ValueRange | None = None
    levels: tuple[int, int] | None = None
    first_frames: tuple[str, ...] = ()
    left_out: Mapping[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.images)

    @cached_property
    def content_hash(self) -> str:
        """Hash of images, labels and class names, 64 hexadecimal digits; the data hash of a training on them."""
        return hash_dataset(self.image_hashes, self.labels, self.class_names)

    @cached_property
    def split_hashes(self) -> dict[str, str]:
        """The `content_hash` of each split."""
        if len(self.split_sizes) == 1:
            return dict.fromkeys(self.split_sizes, self.content_hash)
        return {split: self.select(split).content_hash for split in self.split_sizes}

    @cached_property
    def conflicts(self) -> tuple[Duplicate, ...]:
        """Images whose first copy, pixel by pixel, is of another class."""
        copies = find_repeated(self.image_hashes, np.arange(len(self)))
        return tuple(
            Duplicate(self.names[row], self.names[first], correlation)
            for row, first, correlation in copies
            if self.labels[row] != self.labels[first]
        )

    def select(self, *splits: str) -> ImageSet:
        """Select splits, in the order of this set; a view if they are adjacent, else a copy.

        Raises:
            ConfigError: if a split does not exist.
        """
        for split in splits:
            if split not in self.split_sizes:
                raise ConfigError(f"There is no split {split!r}; this dataset has {', '.join(self.split_sizes)}.")
        sizes = {split: size for split, size in self.split_sizes.items() if split in splits}
        return self._take(np.concatenate([self.rows(split) for split in sizes]), sizes)

    def rows(self, split: str) -> NDArray[np.intp]:
        """Rows of the images of a split."""
        splits = list(self.split_sizes)
        first = sum(self.split_sizes[earlier] for earlier in splits[: splits.index(split)])
        return np.arange(first, first + self.split_sizes[split])

    def at(self, rows: NDArray[np.intp]) -> ImageRows:
        """Rows of this set in which duplicates can be found."""
        return ImageRows(self.images, self.image_hashes, self.thumbnails, rows)

    def rows_by_class_in_turn(self, count: int) -> NDArray[np.intp]:
        """Rows of ``count`` images that cycle through the classes; a class that runs out of images starts over."""
        by_class = [np.flatnonzero(self.labels == label) for label in range(len(self.class_names))]
        present = [rows for rows in by_class if len(rows)]
        turns, places = np.divmod(np.arange(count), len(present))
        return np.array([present[place][turn % len(present[place])] for turn, place in zip(turns, places, strict=True)])

    def take(self, rows: NDArray[np.intp], split: str) -> ImageSet:
        """Take rows, in ascending order, as one split; a view if they are adjacent, else a copy."""
        return self._take(rows, {split: len(rows)})

    def _take(self, rows: NDArray[np.intp], split_sizes: dict[str, int]) -> ImageSet:
        is_gapless = len(rows) > 0 and rows[-1] - rows[0] == len(rows) - 1
        chosen = slice(rows[0], rows[-1] + 1) if is_gapless else rows
        return ImageSet(
            images=self.images[chosen],
            image_hashes=self.image_hashes[chosen],
            labels=self.labels[chosen],
            class_names=self.class_names,
            split_sizes=split_sizes,
            resize_filter=self.resize_filter,
            names=tuple(self.names[row] for row in rows),
            thumbnails=self.thumbnails[chosen],
            fit=self.fit,
            value_range=self.value_range,
        )

    def manifest(self) -> dict[str, Any]:
        """Describe the set in plain values: counts by split and class, shape, levels, hashes, and problems of files."""
        counts = {
            split: dict(zip(self.class_names, self._class_counts(split), strict=True)) for split in self.split_sizes
        }
        _, channels, height, width = self.images.shape
        return {
            "images": len(self),
            "channels": channels,
            "height": height,
            "width": width,
            "class_names": list(self.class_names),
            "split_sizes": dict(self.split_sizes),
            "class_counts": counts,
            "split_hashes": self.split_hashes,
            "resize_filter": self.resize_filter,
            "fit": self.fit,
            "value_range": self.value_range and list(self.value_range),
            "levels": self.levels and list(self.levels),
            "first_frames": list(self.first_frames),
            "left_out": dict(self.left_out),
            "skipped": list(self.skipped),
            "duplicates": [duplicate._asdict() for duplicate in self.duplicates],
            "conflicts": [conflict._asdict() for conflict in self.conflicts],
            "content_hash": self.content_hash,
        }

    def save_description(self, folder: Path) -> None:
        """Write everything but the images, which are in ``IMAGES_FILE`` already."""
        np.save(folder / HASHES_FILE, self.image_hashes)
        np.save(folder / LABELS_FILE, self.labels)
        np.save(folder / THUMBNAILS_FILE, self.thumbnails)
        (folder / NAMES_FILE).write_text(json.dumps(self.names))
        (folder / MANIFEST_FILE).write_text(json.dumps(self.manifest(), indent=2))

    @classmethod
    def load(cls, folder: Path) -> ImageSet:
        """Open a folder that `prepare_image_set` wrote; images are read when they are used."""
        manifest = json.loads((folder / MANIFEST_FILE).read_text())
        return cls(
            # Copy-on-write: the file never changes, and PyTorch does not warn about read-only memory.
            images=np.load(folder / IMAGES_FILE, mmap_mode="c"),
            image_hashes=np.load(folder / HASHES_FILE),
            labels=np.load(folder / LABELS_FILE),
            class_names=tuple(manifest["class_names"]),
            split_sizes=manifest["split_sizes"],
            resize_filter=manifest["resize_filter"],
            names=tuple(json.loads((folder / NAMES_FILE).read_text())),
            thumbnails=np.load(folder / THUMBNAILS_FILE),
            fit=manifest["fit"],
            value_range=manifest["value_range"] and tuple(manifest["value_range"]),
            levels=tuple(manifest["levels"]),
            first_frames=tuple(manifest["first_frames"]),
            skipped=tuple(manifest["skipped"]),
            duplicates=tuple(Duplicate(**duplicate) for duplicate in manifest["duplicates"]),
        )

    def _class_counts(self, split: str) -> list[int]:
        counts: list[int] = np.bincount(self.labels[self.rows(split)], minlength=len(self.class_names)).tolist()
        return counts
