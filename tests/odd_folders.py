"""Folders of pictures as they are found on disks: odd formats, links, names and layouts, made from a seed.

`ODD_FOLDERS` holds a function for each kind; it fills an empty folder. `random_folder` draws folders of any number of
classes and pictures of any size.
"""

from __future__ import annotations

import os
import socket
import unicodedata
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

Maker = Callable[[Path], None]
ODD_FOLDERS: dict[str, Maker] = {}

CLASSES = ("ace", "king")
COUNT = 32
SIZE = 16
LATIN_1 = os.fsdecode(b"caf\xe9")
"""A name as an old zip archive may hold it: not UTF-8."""
FORMATS = ("png", "jpg", "bmp", "gif", "tiff", "webp", "ppm", "tga", "pcx", "ico")
MODES = {"1": "png", "L": "png", "LA": "png", "P": "png", "RGB": "png", "RGBA": "png", "CMYK": "jpg", "LAB": "tiff"}
NAMES = (
    "007",
    "1,2",
    "a;b",
    "T-shirt; top",
    "with 'quotes' \"",
    "${home}",
    "#1",
    "a%20b",
    " ",
    "a\nb",
    "null",
    "猫",
    "x" * 200,
)
"""Names that are allowed for a folder, and mean something else elsewhere."""


def kind(name: str) -> Callable[[Maker], Maker]:
    def enter(make: Maker) -> Maker:
        ODD_FOLDERS[name] = make
        return make

    return enter


def picture(seed: int, mode: str = "RGB", size: tuple[int, int] = (SIZE, SIZE)) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), np.uint8)
    return Image.frombytes("LAB", size, pixels.tobytes()) if mode == "LAB" else Image.fromarray(pixels).convert(mode)


def fill(folder: Path, count: int = COUNT, suffix: str = "png", mode: str = "RGB") -> None:
    """Write pictures into a folder; those of two folders differ."""
    folder.mkdir(parents=True, exist_ok=True)
    seed = zlib.crc32(os.fsencode(folder.relative_to(folder.parents[1])))
    for number in range(count):
        picture(seed + number, mode).save(folder / f"{number:02d}.{suffix}")


def fill_classes(folder: Path, *splits: str, classes: tuple[str, ...] = CLASSES) -> None:
    for split in splits or ("train", "test"):
        for name in classes:
            fill(folder / split / name)


for suffix in FORMATS:

    @kind(f"format {suffix}")
    def _of_a_format(folder: Path, suffix: str = suffix) -> None:
        for name in CLASSES:
            fill(folder / name, suffix=suffix)


for mode, suffix in MODES.items():

    @kind(f"mode {mode}")
    def _of_a_mode(folder: Path, suffix: str = suffix, mode: str = mode) -> None:
        for name in CLASSES:
            fill(folder / name, suffix=suffix, mode=mode)


# Links


@kind("links to pictures elsewhere")
def _links_to_pictures(folder: Path) -> None:
    fill_classes(folder)
    elsewhere = folder.with_name("elsewhere")
    fill(elsewhere / "ace")
    for number in range(5):
        (folder / f"train/ace/more{number}.png").symlink_to(elsewhere / f"ace/0{number}.png")


@kind("a link to a class elsewhere")
def _link_to_class(folder: Path) -> None:
    fill_classes(folder, classes=("ace",))
    for split in ("train", "test"):
        fill(folder.with_name(f"kings for {split}"))
        (folder / split / "king").symlink_to(folder.with_name(f"kings for {split}"))


@kind("a link to a split elsewhere")
def _link_to_split(folder: Path) -> None:
    fill_classes(folder, "train")
    fill_classes(folder.with_name("elsewhere"), "test")
    (folder / "test").symlink_to(folder.with_name("elsewhere") / "test")


@kind("a broken link as a picture")
def _broken_picture(folder: Path) -> None:
    fill_classes(folder)
    (folder / "train/ace/05.png").unlink()
    (folder / "train/ace/05.png").symlink_to("gone.png")


@kind("a link to itself as a picture")
def _looping_picture(folder: Path) -> None:
    fill_classes(folder)
    (folder / "train/ace/05.png").unlink()
    (folder / "train/ace/05.png").symlink_to("05.png")


@kind("a broken link as a class")
def _broken_class(folder: Path) -> None:
    fill_classes(folder)
    (folder / "train/queen").symlink_to("/gone/queen")


@kind("a link to itself as a class")
def _looping_class(folder: Path) -> None:
    fill_classes(folder)
    (folder / "train/queen").symlink_to("queen")


@kind("a broken link as a split")
def _broken_split(folder: Path) -> None:
    fill_classes(folder)
    (folder / "valid").symlink_to("/gone/valid")


@kind("a link to the folder above as a class")
def _link_upwards(folder: Path) -> None:
    fill_classes(folder)
    (folder / "train/queen").symlink_to("..")


@kind("a pipe as a picture")
def _pipe(folder: Path) -> None:
    fill_classes(folder)
    os.mkfifo(folder / "train/ace/pipe.png")


@kind("a socket as a picture")
def _socket(folder: Path) -> None:
    fill_classes(folder)
    here = Path.cwd()
    os.chdir(folder / "train/ace")  # the path of a socket must be short
    with socket.socket(socket.AF_UNIX) as made:
        made.bind("socket.png")
    os.chdir(here)


@kind("a link to a device as a picture")
def _device(folder: Path) -> None:
    fill_classes(folder)
    (folder / "train/ace/zero.png").symlink_to("/dev/zero")


# Names


@kind("a picture whose name is not UTF-8")
def _latin_picture(folder: Path) -> None:
    for name in CLASSES:
        fill(folder / name)
        (folder / name / "05.png").rename(folder / name / f"{LATIN_1}.png")


@kind("an empty picture whose name is not UTF-8")
def _latin_empty_picture(folder: Path) -> None:
    fill_classes(folder)
    (folder / f"train/ace/{LATIN_1}.png").touch()


@kind("a class whose name is not UTF-8")
def _latin_class(folder: Path) -> None:
    for name in (*CLASSES, LATIN_1):
        fill(folder / name)


@kind("a class composed in one split and decomposed in the other")
def _two_forms_in_two_splits(folder: Path) -> None:
    fill_classes(folder)
    fill(folder / "train" / unicodedata.normalize("NFC", "café"))
    fill(folder / "test" / unicodedata.normalize("NFD", "café"))


@kind("a class composed and decomposed in one split")
def _two_forms_in_one_split(folder: Path) -> None:
    fill_classes(folder)
    for form in ("NFC", "NFD"):
        fill(folder / "train" / unicodedata.normalize(form, "café"))


for name in NAMES:

    @kind(f"a class called {name!r}")
    def _of_a_name(folder: Path, name: str = name) -> None:
        for each in ("ace", name):
            fill(folder / each)


# Layouts


@kind("a class called valid beside others")
def _valid_and_invalid(folder: Path) -> None:
    for name in ("valid", "invalid"):
        fill(folder / name)


@kind("classes called test, train and other")
def _classes_like_splits(folder: Path) -> None:
    for name in ("test", "train", "other"):
        fill(folder / name)


@kind("a folder of unlabelled pictures beside the splits")
def _unlabelled(folder: Path) -> None:
    fill_classes(folder)
    fill(folder / "unlabelled")


@kind("only folders of splits, with pictures in them")
def _splits_without_classes(folder: Path) -> None:
    fill(folder / "train")
    fill(folder / "test")


@kind("the folder that a Mac's zip archive adds")
def _from_a_mac(folder: Path) -> None:
    for name in CLASSES:
        fill(folder / name)
        (folder / "__MACOSX" / name).mkdir(parents=True)
        (folder / "__MACOSX" / name / "._00.png").write_bytes(b"")


@kind("hidden folders and files")
def _hidden(folder: Path) -> None:
    fill_classes(folder)
    fill(folder / ".git/objects")
    fill(folder / "train/ace/.thumbnails")
    (folder / "train/.link").symlink_to("gone")
    (folder / "train/ace/.DS_Store").write_bytes(b"")


@kind("a train split alone")
def _train_alone(folder: Path) -> None:
    fill_classes(folder, "train")


@kind("no test split")
def _no_test(folder: Path) -> None:
    fill_classes(folder, "train", "valid")


def random_folder(folder: Path, seed: int) -> None:
    """Fill a folder with any layout, number of classes, imbalance, and sizes and modes of pictures; few of them."""
    draws = np.random.default_rng(seed)
    splits = [("",), ("train",), ("train", "test"), ("train", "valid"), ("train", "test", "valid")][draws.integers(5)]
    classes = int(draws.choice([1, 2, 3, 10, 60]))
    largest = int(draws.choice([20, 60]) if classes < 10 else draws.choice([6, 12]))
    smallest = 1 if draws.random() < 0.1 else 3
    suffix, mode = (("png", "RGB"), ("jpg", "RGB"), ("png", "L"), ("png", "RGBA"))[draws.integers(4)]
    for split in splits:
        for number in range(classes):
            place = folder / split / f"class {number}"
            place.mkdir(parents=True)
            count = largest if number == 0 else int(draws.integers(smallest, largest + 1))
            for index in range(count):
                size = draws.integers(1, 70, 2) if draws.random() < 0.3 else (20, 20)
                picture(int(draws.integers(2**32)), mode, tuple(map(int, size))).save(place / f"{index}.{suffix}")
