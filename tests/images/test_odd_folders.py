"""What becomes of each kind of odd folder: it works, or one sentence says what to do."""

from __future__ import annotations

import unicodedata

import pytest

from gan_pipelines.core.errors import ProjectError
from gan_pipelines.core.stores import KeyedStore
from gan_pipelines.images import DatasetConfig, inspect_folder, prepare_image_set
from gan_pipelines.images.listing import find_folder_split
from odd_folders import CLASSES, COUNT, FORMATS, MODES, NAMES, ODD_FOLDERS

FLAT = {"train": 2 * COUNT}
SPLIT = {"train": 2 * COUNT, "test": 2 * COUNT}

WORKS = {
    **{f"format {suffix}": (CLASSES, FLAT) for suffix in FORMATS},
    **{f"mode {mode}": (CLASSES, FLAT) for mode in MODES},
    **{f"a class called {name!r}": (tuple(sorted(("ace", name))), FLAT) for name in NAMES},
    "links to pictures elsewhere": (CLASSES, {"train": 2 * COUNT + 5, "test": 2 * COUNT}),
    "a link to a class elsewhere": (CLASSES, SPLIT),
    "a link to a split elsewhere": (CLASSES, SPLIT),
    "a picture whose name is not UTF-8": (CLASSES, FLAT),
    "a class composed in one split and decomposed in the other": (
        ("ace", unicodedata.normalize("NFC", "café"), "king"),
        {"train": 3 * COUNT, "test": 3 * COUNT},
    ),
    "hidden folders and files": (CLASSES, SPLIT),
    "a train split alone": (CLASSES, {"train": 2 * COUNT}),
    "no test split": (CLASSES, {"train": 2 * COUNT, "valid": 2 * COUNT}),
    "a class called valid beside others": (("invalid", "valid"), FLAT),
    "classes called test, train and other": (("other", "test", "train"), {"train": 3 * COUNT}),
}
"""Names of the classes and sizes of the splits, with the settings that `kedro experiment` chooses."""

REFUSED = {
    "a broken link as a picture": "train/ace/05.png cannot be used: it is a broken link; mend or remove it.",
    "a link to itself as a picture": "train/ace/05.png cannot be used: it is a broken link; mend or remove it.",
    "a broken link as a class": "train/queen is a broken link (to /gone/queen); mend or remove it.",
    "a link to itself as a class": "train/queen is a broken link (to queen); mend or remove it.",
    "a broken link as a split": "valid is a broken link (to /gone/valid); mend or remove it.",
    "a link to the folder above as a class": (
        "train/queen/test is a folder within a class; move its pictures up, or remove it."
    ),
    "a pipe as a picture": "train/ace/pipe.png is neither a file nor a folder; remove it.",
    "a socket as a picture": "train/ace/socket.png is neither a file nor a folder; remove it.",
    "a link to a device as a picture": "train/ace/zero.png is neither a file nor a folder; remove it.",
    "an empty picture whose name is not UTF-8": ("train/ace/caf\\xe9.png cannot be used: it is empty; copy it again."),
    "a class whose name is not UTF-8": "caf\\xe9 is the name of a class, but not UTF-8; rename the folder.",
    "a class composed and decomposed in one split": (
        "train has two folders café, whose names are spelt with different Unicode characters; put their pictures into "
        "one."
    ),
    "a folder of unlabelled pictures beside the splits": (
        "test has the name of a split, and unlabelled has not; if both are classes, set dataset.folder_split: train, "
        "and if test is a split, rename unlabelled, or move it away."
    ),
    "only folders of splits, with pictures in them": (
        "train/00.png lies in no folder of a class, so it has no label; move it into one (all into the same, if there "
        "are no classes: dcgan asks for none); labels of a dataset may also be in a file, dataset.labels."
    ),
    "the folder that a Mac's zip archive adds": (
        "__MACOSX/ace is a folder within a class; move its pictures up, or remove it."
    ),
}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "pictures").mkdir()
    return tmp_path / "pictures"


def test_every_kind_is_in_one_of_the_tables():
    assert {*WORKS} | {*REFUSED} == {*ODD_FOLDERS}
    assert not {*WORKS} & {*REFUSED}


def prepare(folder, **settings):
    config = DatasetConfig(source="image_folder", path=str(folder), image_size=8, channels=3, **settings)
    return prepare_image_set(KeyedStore(folder.with_name("sets")), config)


@pytest.mark.parametrize("kind", WORKS)
def test_an_odd_folder_works(kind, folder):
    ODD_FOLDERS[kind](folder)
    image_set = prepare(folder, folder_split=find_folder_split(folder))
    assert (image_set.class_names, image_set.split_sizes) == WORKS[kind]
    shown = [*image_set.names, *inspect_folder(folder).describe()]
    assert all(text.encode() for text in shown)  # a terminal refuses what is not UTF-8


@pytest.mark.parametrize("kind", REFUSED)
def test_an_odd_folder_gets_its_sentence(kind, folder):
    ODD_FOLDERS[kind](folder)
    with pytest.raises(ProjectError) as caught:
        prepare(folder, folder_split=find_folder_split(folder))
    sentence = str(caught.value).replace(f"{folder}/", "")
    assert sentence == REFUSED[kind]
    assert sentence.encode()
