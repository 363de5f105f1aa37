"""Labels from files, and what becomes of files that are not as described."""

from __future__ import annotations

import csv
import json
import unicodedata
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from gan_pipelines.core.config import ConfigError
from gan_pipelines.core.stores import KeyedStore
from gan_pipelines.images import DatasetConfig, DatasetUnusable, inspect_folder, open_source, prepare, prepare_image_set

LABELS = {"train/0.png": "king", "train/more/1.png": "ace", "test/2.png": "ace", "test/3.png": "king"}
"""Labels of pictures whose level is the number in their name."""


def write_pictures(folder, files):
    for file in files:
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (8, 8), int(path.stem)).save(path)


def write_csv(path, rows, *header):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header or ("file_name", "label"), *rows])


def write_json_lines(path, rows):
    path.write_text("".join(json.dumps({"file_name": file, "label": label}) + "\n" for file, label in rows))


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "pictures"
    write_pictures(folder, LABELS)
    return folder


@pytest.fixture
def config(folder):
    return DatasetConfig(source="image_folder", path=str(folder), labels="metadata.csv", image_size=8, channels=1)


@pytest.fixture
def store(tmp_path):
    return KeyedStore(tmp_path / "sets")


def read(store, config):
    """Label and split of each picture, by its level."""
    image_set = prepare_image_set(store, config)
    splits = [split for split, size in image_set.split_sizes.items() for _ in range(size)]
    names = [image_set.class_names[label] for label in image_set.labels]
    return dict(zip(image_set.images[:, 0, 0, 0].tolist(), zip(splits, names, strict=True), strict=True))


EXPECTED = {0: ("train", "king"), 1: ("train", "ace"), 2: ("test", "ace"), 3: ("test", "king")}


def test_labels_of_the_whole_folder_are_in_one_file(folder, config, store):
    write_csv(folder / "metadata.csv", LABELS.items())
    assert read(store, config) == EXPECTED


def test_each_split_has_a_file_of_its_own(folder, config, store):
    for split in ("train", "test"):
        rows = [(file.removeprefix(f"{split}/"), label) for file, label in LABELS.items() if file.startswith(split)]
        write_json_lines(folder / split / "metadata.jsonl", rows)
    assert read(store, replace(config, labels="metadata.jsonl")) == EXPECTED


def test_a_column_has_the_splits_whatever_the_folders_are_called(folder, config, store):
    splits = ("test", "Validation", "train", "train")
    rows = [(f"./{file}", "x", split) for file, split in zip(LABELS, splits, strict=True)]
    write_csv(folder / "my labels.csv", rows, "path", "kind", "split")
    stated = replace(config, labels="my labels.csv", label_column="kind")
    assert read(store, stated) == {0: ("test", "x"), 1: ("valid", "x"), 2: ("train", "x"), 3: ("train", "x")}


def test_a_part_of_each_class_is_held_out_of_labels_without_splits(tmp_path, config, store):
    folder = tmp_path / "flat"
    write_pictures(folder, [f"{number}.png" for number in range(12)])
    write_csv(tmp_path / "labels.csv", [(f"{number}.png", "ab"[number % 2]) for number in range(12)])
    flat = replace(config, path=str(folder), labels="../labels.csv", folder_split="train", test_fraction=0.3)
    counts = prepare_image_set(store, flat).manifest()["class_counts"]
    assert counts == {"train": {"a": 4, "b": 4}, "test": {"a": 2, "b": 2}}
    write_csv(folder / "no labels.csv", [])
    assert open_source(flat).left_out == {".csv": 1}
    assert read(store, replace(flat, labels=str(tmp_path / "labels.csv"))) == read(store, flat)


def test_a_folder_named_like_a_split_is_none_beside_folders_of_other_names(tmp_path, config, store):
    files = ("cam1/0.png", "cam1/1.png", "dev/2.png", "dev/3.png")
    folder = tmp_path / "cameras"
    write_pictures(folder, files)
    write_csv(folder / "metadata.csv", zip(files, "abab", strict=True))
    stated = replace(config, path=str(folder))
    with pytest.raises(DatasetUnusable, match="has no split, and not all pictures lie in folders train, test or valid"):
        open_source(stated)
    found = read(store, replace(stated, folder_split="train"))
    assert found == {0: ("train", "a"), 1: ("train", "b"), 2: ("train", "a"), 3: ("train", "b")}


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        ((10, 9, 2, 9), ("2", "9", "10")),
        (("10", "9", "2", "-1"), ("-1", "2", "9", "10")),
        (("10", "9", "2", "b"), ("10", "2", "9", "b")),
        ((" ace ", "T-shirt/top", "ace", "Ace"), ("Ace", "T-shirt/top", "ace")),
        (("café", unicodedata.normalize("NFD", "café"), "b", "b"), ("b", "café")),
    ],
)
def test_classes_are_sorted_by_number_or_as_texts(folder, config, labels, names):
    (folder / "test/2.png").rename(folder / "train/2.png")
    (folder / "test/3.png").rename(folder / "train/3.png")
    (folder / "train").rename(folder / "all")
    rows = zip(("all/0.png", "all/more/1.png", "all/2.png", "all/3.png"), labels, strict=True)
    write_json_lines(folder / "metadata.jsonl", rows)
    source = open_source(replace(config, labels="metadata.jsonl", folder_split="train"))
    assert source.class_names == names


def test_a_file_of_a_spreadsheet_is_read(folder, config, store):
    lines = ["\ufefflabel,file_name", *(f'"{label}",{file}' for file, label in LABELS.items()), ""]
    (folder / "metadata.csv").write_bytes("\r\n".join(lines).encode())
    assert read(store, config) == EXPECTED


@pytest.mark.parametrize(("on_disk", "listed"), [("NFD", "NFC"), ("NFC", "NFD")])
def test_names_of_files_are_the_same_composed_and_decomposed(folder, config, store, on_disk, listed):
    (folder / "train/0.png").rename(folder / "train" / unicodedata.normalize(on_disk, "é.png"))
    rows = [(f"train/{unicodedata.normalize(listed, 'é')}.png", "king"), *[*LABELS.items()][1:]]
    write_csv(folder / "metadata.csv", rows)
    assert read(store, config) == EXPECTED


def test_links_and_hidden_files_are_as_in_folders_of_classes(tmp_path, folder, config, store):
    (folder / "test").rename(tmp_path / "elsewhere")
    (folder / "test").symlink_to(tmp_path / "elsewhere")
    write_pictures(folder, ["train/.hidden/4.png"])
    (folder / "train/notes.txt").touch()
    write_csv(folder / "metadata.csv", LABELS.items())
    assert read(store, config) == EXPECTED
    assert open_source(config).left_out == {".txt": 1, "hidden pictures": 1}


def test_labels_that_change_give_another_set_and_other_columns_do_not(tmp_path, config, store, monkeypatch):
    write_pictures(tmp_path / "three", ["0.png", "1.png", "2.png"])
    three = replace(config, path=str(tmp_path / "three"), folder_split="train")
    labels = tmp_path / "three/metadata.csv"
    write_csv(labels, [("0.png", "ace"), ("1.png", "ace"), ("2.png", "king")])
    before = prepare_image_set(store, three)
    assert before.labels.tolist() == [0, 0, 1]
    write_csv(labels, [("0.png", "ace"), ("1.png", "king"), ("2.png", "king")])
    after = prepare_image_set(store, three)
    assert (after.labels.tolist(), after.names) == ([0, 1, 1], before.names)  # the order of the images is the same

    monkeypatch.setattr(prepare, "to_pixels", lambda *_: pytest.fail("decoded again"))
    write_csv(labels, [("0.png", "ace", "x"), ("1.png", "king", "y"), ("2.png", "king", "")], "path", "label", "text")
    assert prepare_image_set(store, three).content_hash == after.content_hash


def test_folders_keep_their_meaning_beside_a_file_of_labels(tmp_path, config, store):
    folder = tmp_path / "classes"
    write_pictures(folder, ["a/0.png", "b/1.png"])
    write_csv(folder / "metadata.csv", [("a/0.png", "b"), ("b/1.png", "a")])
    by_folder = replace(config, path=str(folder), folder_split="train", labels=None)
    assert read(store, by_folder) == {0: ("train", "a"), 1: ("train", "b")}
    assert read(store, replace(by_folder, labels="metadata.csv")) == {0: ("train", "b"), 1: ("train", "a")}


@pytest.mark.parametrize(("source", "labels"), [("image_folder", "labels.txt"), ("digits", "labels.csv")])
def test_a_file_of_labels_must_be_possible(source, labels):
    with pytest.raises(ConfigError, match=f"labels is '{labels}', but must be null"):
        DatasetConfig(source=source, path="x", labels=labels, image_size=8, channels=1)


@pytest.mark.parametrize("name", ["x" * 5000, "\0.png"])
def test_a_name_that_no_file_can_have_is_one_that_is_missing(folder, config, name):
    write_json_lines(folder / "metadata.jsonl", [*LABELS.items(), (name, "ace")])
    with pytest.raises(DatasetUnusable, match="does not exist; correct or remove the line"):
        open_source(replace(config, labels="metadata.jsonl"))


def test_a_link_to_a_folder_above_ends(folder, config):
    (folder / "train/up").symlink_to("..")
    write_csv(folder / "metadata.csv", LABELS.items())
    with pytest.raises(DatasetUnusable, match="train/up is a link to a folder that it lies in; remove it."):
        open_source(config)


# What kedro experiment finds


NOISE = np.random.default_rng(0)


@pytest.fixture
def many(tmp_path):
    """Eighty pictures in one folder, and a row for each."""
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(80):
        Image.fromarray(NOISE.integers(0, 256, (20, 20), np.uint8)).save(folder / f"{number}.png")
    return folder, [(f"{number}.png", ("ace", "king")[number % 2]) for number in range(80)]


def warnings_about(report, words):
    return [warning for warning in report.warn() if words in warning]


@pytest.mark.parametrize("write", [write_csv, write_json_lines])
def test_metadata_of_hugging_face_are_found(many, write):
    folder, rows = many
    name = "metadata.csv" if write is write_csv else "metadata.jsonl"
    write(folder / name, rows)
    report = inspect_folder(folder)
    assert report.class_counts == {"train": {"ace": 32, "king": 32}, "test": {"ace": 8, "king": 8}}
    assert (report.dataset.labels, report.dataset.folder_split) == (name, "train")
    assert f"labels: column label of {name}" in report.describe()
    assert warnings_about(report, "there are no splits, so 20% of each class become the test split; add a column split")
    assert not report.left_out


def test_metadata_in_folders_of_splits_are_found(many):
    folder, rows = many
    for split, part in {"train": rows[:60], "test": rows[60:]}.items():
        (folder / split).mkdir()
        write_csv(folder / split / "metadata.csv", part)
        for file, _ in part:
            (folder / file).rename(folder / split / file)
    report = inspect_folder(folder)
    assert report.class_counts == {"train": {"ace": 30, "king": 30}, "test": {"ace": 10, "king": 10}}
    assert (report.dataset.labels, report.dataset.folder_split) == ("metadata.csv", None)


def test_another_file_and_another_column_are_named(many):
    folder, rows = many
    write_csv(folder / "metadata.csv", [(file, "text") for file, _ in rows], "file_name", "text")
    write_csv(folder / "classes.csv", rows, "filename", "kind")
    report = inspect_folder(folder, labels="classes.csv", label_column="kind")
    assert report.train_counts == {"ace": 32, "king": 32}
    assert report.left_out == {".csv": 1}


def test_metadata_without_labels_leave_folders_the_classes(many):
    folder, rows = many
    write_csv(folder / "metadata.csv", [(f"{label}/{file}", "a text") for file, label in rows], "file_name", "text")
    for file, label in rows:
        (folder / label).mkdir(exist_ok=True)
        (folder / file).rename(folder / label / file)
    report = inspect_folder(folder)
    assert report.dataset.labels is None
    assert report.train_counts == {"ace": 32, "king": 32}


def test_labels_that_contradict_the_folders_are_warned_of(many):
    folder, rows = many
    for file, label in rows:
        (folder / label).mkdir(exist_ok=True)
        (folder / file).rename(folder / label / file)
    placed = [(f"{label}/{file}", label) for file, label in rows]
    write_csv(folder / "metadata.csv", placed)
    assert not warnings_about(inspect_folder(folder), "another class")
    write_csv(folder / "metadata.csv", [*placed[:-1], (placed[-1][0], "ace")])
    report = inspect_folder(folder)
    assert sum(counts["ace"] for counts in report.class_counts.values()) == 41

    assert warnings_about(report, "folder has the name of another class: 1 (king/79.png is ace); correct metadata.csv")
