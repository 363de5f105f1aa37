"""Which images, and at what size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gan_pipelines.core.config import require, require_choice

SourceName = Literal["digits", "image_folder", "cifar10", "fashion_mnist"]
SplitName = Literal["train", "test", "valid"]
OnBadImage = Literal["error", "skip"]
ResizeFilter = Literal["bicubic", "bilinear", "lanczos", "box"]


@dataclass(frozen=True, kw_only=True)
class LabelPreserving:
    """Changes that leave the label of an image right: a 6 turned upside down is none.

    Attributes:
        horizontal_flip: whether its mirror image still shows the same.
        rotation_degrees: up to which angle either way.
    """

    horizontal_flip: bool = False
    rotation_degrees: float = 0.0

    def __post_init__(self) -> None:
        require(0 <= self.rotation_degrees <= 180, "rotation_degrees", self.rotation_degrees, "from 0 to 180")


@dataclass(frozen=True, kw_only=True)
class DatasetConfig:
    """A source of images and the form that they are brought into.

    Attributes:
        source: where the images come from, a key of `sources.SOURCES`.
        path: the folder that holds the images, or torchvision's files; None for sources that need none.
        folder_split: the split of an image folder without a level for splits, ``<path>/<class>/*``.
        test_fraction: of each class of such a folder, the part that becomes the test split; 0 leaves all in one.
        download: whether torchvision may fetch what is not under ``path``.
        on_bad_image: stop at a file that cannot be decoded, or leave it out and say so in the manifest.
        image_size: height and width in pixels after resizing.
        channels: 1 (grey) or 3 (RGB).
        resize_filter: Pillow's antialiased filter.
        train_splits: the splits that the GAN is trained on.
        label_preserving: what augmentation may do to these images.
    """

    source: SourceName
    path: str | None = None
    folder_split: SplitName | None = None
    test_fraction: float = 0.0
    download: bool = False
    on_bad_image: OnBadImage = "error"
    image_size: int
    channels: int
    resize_filter: ResizeFilter = "bicubic"
    train_splits: tuple[str, ...] = ("train",)
    label_preserving: LabelPreserving = LabelPreserving()

    def __post_init__(self) -> None:
        require_choice("source", self.source, SourceName)
        if self.folder_split is not None:
            require_choice("folder_split", self.folder_split, SplitName)
        require(0 <= self.test_fraction < 1, "test_fraction", self.test_fraction, "at least 0 and below 1")
        may_divide = self.test_fraction == 0 or self.folder_split == "train"
        require(may_divide, "test_fraction", self.test_fraction, "0 unless folder_split is train")
        require_choice("on_bad_image", self.on_bad_image, OnBadImage)
        needs_path = self.source != "digits"
        require(not needs_path or bool(self.path), "path", self.path, f"the folder of the {self.source} images")
        require_choice("resize_filter", self.resize_filter, ResizeFilter)
        require(1 <= self.image_size <= 4096, "image_size", self.image_size, "from 1 to 4096")
        require(self.channels in (1, 3), "channels", self.channels, "1 or 3")
        require(len(self.train_splits) > 0, "train_splits", self.train_splits, "a list of at least one split")
