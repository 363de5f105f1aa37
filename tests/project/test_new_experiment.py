"""What is suggested for a folder of pictures, and that a run takes it."""

from __future__ import annotations

import base64
import io
import re
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import yaml
from click.testing import CliRunner
from kedro.io import DataCatalog
from PIL import Image

from gan_pipelines import cli, settings
from gan_pipelines.augmentation.config import AugmentationConfig
from gan_pipelines.augmentation.splits import draw_images, separate_images
from gan_pipelines.core.config import ConfigError, parse
from gan_pipelines.core.errors import ProjectError
from gan_pipelines.core.files import UNFINISHED
from gan_pipelines.core.hashing import hash_images
from gan_pipelines.datasets import CheckpointStoreDataset, KeyedStoreDataset, MilestoneStoreDataset
from gan_pipelines.gan import check_steps
from gan_pipelines.gan.variants import parse_variant
from gan_pipelines.images import DatasetUnusable, ImageSet, inspect_folder
from gan_pipelines.images.duplicates import make_thumbnails
from gan_pipelines.metrics import ScoringConfig, check_class_sizes
from gan_pipelines.pipeline_registry import register_pipelines
from gan_pipelines.project import preflight
from gan_pipelines.project.new_experiment import (
    RESULTS,
    check_name,
    choose_variant,
    suggest_parameters,
    write_experiment,
)
from gan_pipelines.project.parameters import parse_parameters
from gan_pipelines.project.preflight import check_run
from html_page import Page, loads_nothing
from odd_folders import LATIN_1, random_folder
from odd_pictures import smooth, tiff
from pictures import write_pictures

PROJECT = Path(__file__).parents[2]


@pytest.fixture
def report(tmp_path):
    return inspect_folder(write_pictures(tmp_path / "my cards", [""], count=40))


def counts_of(report, count):
    return replace(report, class_counts={"train": dict.fromkeys(report.train_counts, count), "test": {}})


def suggest(report, has_gpu=False, has_imagenet=False):
    return yaml.safe_load(suggest_parameters(report, "data/my cards", has_gpu, has_imagenet))


def check(folder, report, *pipelines):
    """Write an environment, load it as Kedro does, and check a run with it."""
    conf = folder / "conf"
    (conf / "base").mkdir(parents=True)
    stated = ["experiment: ${globals:experiment}", "augmentation: {}", "export: {}", "reporting: {}"]
    stated.append("runtime: {device: cpu}")
    (conf / "base/parameters.yml").write_text("\n".join(stated))
    (conf / "base/globals.yml").write_text("experiment: digits\n")
    write_experiment(conf, "cards", suggest_parameters(report, report.dataset.path, has_gpu=False))
    loader = settings.CONFIG_LOADER_CLASS(str(conf), env="cards", **settings.CONFIG_LOADER_ARGS)
    assert loader["globals"] == {"experiment": "cards"}
    parameters = loader["parameters"]
    catalog = DataCatalog({"image_sets": KeyedStoreDataset(filepath=f"{folder}/image_sets")})
    for kind in ("checkpoints", "replicate_checkpoints"):
        catalog[f"{choose_variant(report)}.{kind}"] = CheckpointStoreDataset(filepath=f"{folder}/{kind}")
    catalog[f"{choose_variant(report)}.milestones"] = MilestoneStoreDataset(filepath=f"{folder}/generator")
    store = KeyedStoreDataset(filepath=f"{folder}/synthetic_store")
    catalog[f"{choose_variant(report)}.synthetic_store"] = store
    for pipeline in filter(None, pipelines):
        run = register_pipelines()[pipeline]
        check_run(run, catalog, parse_parameters(parameters, run.inputs()), register_pipelines())


@pytest.mark.parametrize(
    "path", ["/pictures/${x}", r"/a\${b}\\${", "/what #1?: é 100%", "/'\"`", "$HOME/~ {x}", "/a\tb\nc"]
)
def test_the_path_of_the_pictures_is_read_as_it_was_written(tmp_path, report, path):
    (tmp_path / "conf/base").mkdir(parents=True)
    write_experiment(tmp_path / "conf", "cards", suggest_parameters(report, path, has_gpu=False))
    loader = settings.CONFIG_LOADER_CLASS(str(tmp_path / "conf"), env="cards", **settings.CONFIG_LOADER_ARGS)
    assert loader["parameters"]["dataset"]["path"] == path


@pytest.mark.integration
@pytest.mark.parametrize("pipeline", ["train_acgan", "augment_acgan"])
@pytest.mark.parametrize("splits", [("",), ("train", "test")])
def test_a_run_takes_what_is_written(tmp_path, splits, pipeline):
    check(tmp_path, inspect_folder(write_pictures(tmp_path / "my cards", splits, count=100)), pipeline)


def test_an_unconditional_run_takes_pictures_of_one_class(tmp_path, monkeypatch):
    monkeypatch.setattr(preflight, "open_pretrained", lambda *_: None)
    report = inspect_folder(write_pictures(tmp_path / "all", [""], ["one"], 100))
    check(tmp_path, report, "train_dcgan")
    assert set(suggest(report)["variants"]) == {"dcgan"}
    assert "augmentation" not in suggest(report)


@pytest.mark.integration
def test_a_run_takes_labels_from_a_file(tmp_path):
    pictures = write_pictures(tmp_path / "my cards", [""], count=100)
    lines = [f"{file.relative_to(pictures)},{file.parent.name}\n" for file in pictures.rglob("*.png")]
    (pictures / "${labels}.csv").write_text("path,the kind\n" + "".join(lines))
    report = inspect_folder(pictures, labels="${labels}.csv", label_column="the kind")
    check(tmp_path, report, "train_acgan")
    stated = suggest(report)["dataset"]
    assert (stated["label_column"], stated["folder_split"]) == ("the kind", "train")


def test_the_folder_and_what_was_seen_in_it_is_stated(report):
    dataset = {
        "source": "image_folder",
        "path": "data/my cards",
        "folder_split": "train",
        "test_fraction": 0.2,
        "image_size": 16,
        "fit": "crop",
        "channels": 3,
        "train_splits": ["train"],
        "label_preserving": {"horizontal_flip": False, "rotation_degrees": 0},
    }
    assert suggest(report)["dataset"] == dataset
    damaged = replace(report, skipped=("one",), dataset=replace(report.dataset, on_bad_image="skip", channels=1))
    assert suggest(damaged)["dataset"] == dataset | {"on_bad_image": "skip", "channels": 1}


@pytest.mark.parametrize(("pictures", "epochs"), [(100, 1000), (7500, 16), (1_000_000, 1)])
def test_a_training_sees_about_as_many_images_whatever_their_number(report, pictures, epochs):
    assert suggest(counts_of(report, pictures // 2))["variants"]["acgan"]["epochs"] == epochs


@pytest.mark.parametrize(("pictures", "samples"), [(100, 1000), (7624, 8000), (60_000, 10_000)])
def test_scores_are_taken_of_about_as_many_samples_as_there_are_pictures(report, pictures, samples):
    scoring = suggest(counts_of(report, pictures // 2))["scoring"]
    assert scoring["samples"] == samples
    assert scoring["during_training"]["samples"] == min(samples, 2000)


@pytest.mark.parametrize(("per_class", "extractor"), [(700, "classifier"), (800, "imagenet")])
def test_imagenet_is_suggested_where_there_are_more_images_than_features(report, per_class, extractor):
    pictures = counts_of(report, per_class)
    assert suggest(pictures)["scoring"]["extractor"] == "classifier"
    scoring = suggest(pictures, has_imagenet=True)["scoring"]
    assert scoring["extractor"] == extractor
    assert ("classifier" in scoring) == (extractor == "classifier")


def test_a_linear_probe_is_suggested_where_imagenet_is_installed(report):
    assert suggest(report, has_imagenet=True)["augmentation"] == suggest(report)["augmentation"] | {"probe": "imagenet"}
    assert "probe" not in suggest(report)["augmentation"]


def test_pictures_of_one_class_are_scored_with_imagenet_if_it_is_installed(tmp_path):
    report = inspect_folder(write_pictures(tmp_path / "all", [""], ["one"], 100))
    assert suggest(report)["scoring"]["extractor"] == "inception"
    assert suggest(report, has_imagenet=True)["scoring"]["extractor"] == "imagenet"


def test_every_class_has_samples(report):
    many = replace(report, class_counts={"train": dict.fromkeys(map(str, range(600)), 5), "test": {}})
    assert suggest(many)["scoring"]["samples"] == 6000


@pytest.mark.parametrize(("pictures", "fraction"), [(200, 1), (600, 0.25), (2000, 0.1)])
def test_a_fraction_leaves_pictures_to_train_on(report, pictures, fraction):
    assert suggest(counts_of(report, pictures // 2))["augmentation"]["fractions"] == [fraction]


@pytest.mark.parametrize("has_gpu", [False, True])
def test_any_numbers_of_classes_and_pictures_get_settings_that_fit_them(report, has_gpu):
    draws, refused = np.random.default_rng(0), 0
    for _ in range(80):
        classes = int(draws.choice([2, 3, 10, 100, 1000, 5200]))
        counts = 2 + (draws.pareto(draws.choice([0.5, 1, 5]), classes) * draws.choice([1, 20, 500])).astype(int)
        counts = np.minimum(counts, 200_000)
        counts[0] += max(0, 50 - counts.sum())
        names = list(map(str, range(classes)))
        trained = dict(zip(names, counts.tolist(), strict=True))
        drawn = replace(report, class_counts={"train": trained, "test": {}})
        try:
            stated = suggest(drawn, has_gpu)
        except DatasetUnusable as error:
            assert counts.sum() > 10_000 * counts.min(), error  # classes too rare to score
            refused += 1
            continue
        scoring = parse(ScoringConfig, stated["scoring"], "scoring")
        check_class_sizes(names, counts, scoring.samples)
        check_steps(parse_variant("acgan", stated["variants"]["acgan"]), counts.sum())
    assert refused < 40  # the others are written


@pytest.mark.parametrize("counts", [[2] * 25, [2, 48], [3] * 17, [50, 50], [2] * 300, [2000, 2]])
def test_the_generators_of_an_augmentation_experiment_get_a_batch_of_pictures(report, counts):
    names = tuple(map(str, range(len(counts))))
    trained = dict(zip(names, counts, strict=True))
    stated = suggest(replace(report, class_counts={"train": trained, "test": dict.fromkeys(names, 1)}))
    labels = np.concatenate([np.repeat(np.arange(len(counts)), counts), np.arange(len(counts))])
    images = np.random.default_rng(0).integers(0, 256, (len(labels), 1, 8, 8), np.uint8)
    image_set = ImageSet(
        images=images,
        image_hashes=hash_images(images),
        labels=labels,
        class_names=names,
        split_sizes={"train": sum(counts), "test": len(counts)},
        resize_filter="box",
        names=tuple(map(str, range(len(labels)))),
        thumbnails=make_thumbnails(images),
    )
    experiment = parse(AugmentationConfig, stated["augmentation"], "augmentation")
    for draw in draw_images(separate_images(image_set), experiment):
        check_steps(parse_variant("acgan", stated["variants"]["acgan"]), len(draw.images))


@pytest.mark.integration
@pytest.mark.parametrize("seed", range(12))
def test_what_is_written_for_any_folder_runs(tmp_path, seed, monkeypatch):
    monkeypatch.setattr(preflight, "open_pretrained", lambda *_: None)
    random_folder(tmp_path / "pictures", seed)
    try:
        report = inspect_folder(tmp_path / "pictures")
        suggest_parameters(report, report.dataset.path, has_gpu=False)
    except DatasetUnusable as error:
        assert re.search("needs 50 or more|has one training picture|has no folder test", str(error))
        return
    check(tmp_path, report, f"train_{choose_variant(report)}", "augment_acgan" * (len(report.train_counts) > 1))


PATHS = [
    "/pictures/${home}",
    "/a/$b/{c}",
    r"/back\\slash\\${x}",
    "/#1/a: b",
    "/'quotes\" and spaces ",
    "/café 猫 😀",
    "/\x7f\u2028",
    "/a%20b",
]


@pytest.mark.parametrize("path", PATHS)
def test_any_path_of_pictures_is_read_as_it_was_written(tmp_path, report, path):
    write_experiment(tmp_path, "cards", suggest_parameters(report, path, has_gpu=False))
    (tmp_path / "base").mkdir()
    loader = settings.CONFIG_LOADER_CLASS(str(tmp_path), env="cards", **settings.CONFIG_LOADER_ARGS)
    assert loader["parameters"]["dataset"]["path"] == path


def test_a_name_is_free_if_no_environment_and_no_results_have_it(tmp_path):
    write_experiment(tmp_path / "conf", "cards", "dataset: {}\n")
    (tmp_path / "data/01_raw/faces").mkdir(parents=True)
    check_name("faces", tmp_path / "conf")
    (tmp_path / "conf/cards").rename(tmp_path / "conf/renamed")
    with pytest.raises(ConfigError, match="conf/renamed is the experiment cards already; choose another name."):
        check_name("cards", tmp_path / "conf")


@pytest.mark.parametrize("folder", RESULTS)
def test_results_that_are_left_of_an_experiment_keep_its_name(tmp_path, folder):
    (tmp_path / folder / "cards/dcgan").mkdir(parents=True)
    with pytest.raises(ConfigError, match=f"would mix with new ones; choose another name, or remove {folder}/cards."):
        check_name("cards", tmp_path / "conf")


@pytest.mark.parametrize("left", ["", f"{UNFINISHED}dataset.html", "dataset.html"])
def test_an_experiment_that_was_killed_while_it_was_written_can_be_written_again(tmp_path, left):
    (tmp_path / "data/08_reporting/cards" / left).mkdir(parents=True)
    (tmp_path / f"conf/{UNFINISHED}cards").mkdir(parents=True)
    (tmp_path / f"conf/{UNFINISHED}cards/globals.yml").write_text("experiment: cards\n")
    check_name("cards", tmp_path / "conf")


@pytest.mark.parametrize("name", ["on", "yes", "null", "cards"])
def test_a_name_is_a_text_in_the_files_that_are_written(tmp_path, name):
    write_experiment(tmp_path, name, "dataset: {}\n")
    assert yaml.safe_load((tmp_path / name / "globals.yml").read_text()) == {"experiment": name}
    (tmp_path / name).rename(tmp_path / "renamed")
    with pytest.raises(ConfigError, match=f"/renamed is the experiment {name} already; choose another name."):
        check_name(name, tmp_path)


@pytest.mark.parametrize("content", ["a: 1\na: 2", "\ta: 1"])
def test_a_mistake_in_another_environment_is_named_with_its_file(tmp_path, content):
    (tmp_path / "conf/other").mkdir(parents=True)
    (tmp_path / "conf/other/globals.yml").write_text(content)
    with pytest.raises(ConfigError, match=r"^conf/other/globals.yml, line \d: "):
        check_name("cards", tmp_path / "conf")


def test_an_address_that_is_not_set_in_another_environment_is_no_hindrance(tmp_path):
    (tmp_path / "conf/other").mkdir(parents=True)
    (tmp_path / "conf/other/globals.yml").write_text("experiment: other\nplace: ${oc.env:NOT_SET}\n")
    check_name("cards", tmp_path / "conf")


def test_all_folders_of_results_are_known():
    catalog = (PROJECT / "conf/base/catalog.yml").read_text()
    assert {*re.findall(r"(data/\w+)/\$\{globals:experiment\}", catalog)} | {"mlruns/artifacts"} == {*RESULTS}


def test_the_time_of_all_replicates_is_stated(report):
    text = suggest_parameters(report, "cards", has_gpu=False)
    assert f"take {yaml.safe_load(text)['augmentation']['replicates']} times as long as\n# train_<variant>." in text


def test_a_gpu_gets_wider_networks_and_a_longer_training(report):
    report = counts_of(report, 5000)
    on_cpu, on_gpu = (suggest(report, has_gpu)["variants"]["acgan"] for has_gpu in (False, True))
    assert on_gpu["networks"]["width"] > on_cpu["networks"]["width"]
    assert on_gpu["epochs"] > on_cpu["epochs"]


@pytest.mark.parametrize(
    ("pictures", "has_gpu", "is_augmented"),
    [(300, False, True), (500, False, False), (6000, True, True), (7000, True, False)],
)
def test_pictures_that_are_seen_often_are_augmented(report, pictures, has_gpu, is_augmented):
    settings = suggest(counts_of(report, pictures // 2), has_gpu)["variants"]["acgan"]
    kinds = settings.get("differentiable_transforms", {}).get("kinds")
    assert kinds == (["colour", "translation", "cutout"] if is_augmented else None)
    assert (settings["epochs"] >= 300) == is_augmented


def test_floating_point_pictures_get_a_range_and_a_look_at_them(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    for number in range(80):
        path = tmp_path / "cards" / "ab"[number % 2] / f"{number}.tif"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(tiff((2 * smooth(number, 1) - 1).astype(np.float32)))
    result = make_experiment(tmp_path, tmp_path / "cards", "--value-range", "-1", "1")
    assert result.exit_code == 0, result.exception
    assert "levels: 0 to 255 of 255; in pictures of more than 8 bits -1 is black and 1 white" in result.output
    assert "  value_range: [-1, 1]   # black and" in (tmp_path / "conf/cards/parameters.yml").read_text()
    page = Page((tmp_path / "data/08_reporting/cards/dataset.html").read_text())
    shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(page.all("img")[0]["src"].partition(",")[2]))))
    assert shown.shape == (20, 8 * 18 + 2, 3)
    assert shown.std() > 40


def make_experiment(project, folder, *options):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cli, "_read_device", lambda _: "cpu")  # the folder has no configuration
        metadata = SimpleNamespace(project_path=project)
        return CliRunner().invoke(cli.experiment, ["cards", str(folder), *options], obj=metadata)


def test_the_page_shows_what_is_wrong_with_a_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    folder = write_pictures(tmp_path / "data/01_raw/my <i>cards", count=60)
    shutil.copy(folder / "train/ace/1.png", folder / "train/king/odd <b>&.png")
    shutil.copy(folder / "train/ace/2.png", folder / "test/ace/twin.png")
    shutil.copy(folder / "train/ace/3.png", folder / f"train/ace/{LATIN_1}.png")
    (folder / "test/king/0.png").write_bytes(b"")
    (folder / f"test/king/notes.{LATIN_1}").touch()
    result = make_experiment(tmp_path, folder)
    assert result.exit_code == 0, result.exception
    assert "Wrote data/08_reporting/cards/dataset.html: the dataset with its pictures" in result.output
    text = (tmp_path / "data/08_reporting/cards/dataset.html").read_text()
    page, words = Page(text), " ".join(Page(text).words)
    assert loads_nothing(text)
    assert "my <i>cards" in words
    assert {section["id"] for section in page.all("section")} >= {"careful", "pairs1", "pairs2", "pairs3", "files"}
    names = [image["alt"] for image in page.all("img") if "/" in image["alt"]]
    conflict, leak, *repeated = zip(names[::2], names[1::2], strict=True)
    assert conflict == ("train/ace/1.png", "train/king/odd <b>&.png")
    assert leak == ("test/ace/twin.png", "train/ace/2.png")
    assert {*repeated} == {conflict, ("train/ace/3.png", "train/ace/caf\\xe9.png")}
    assert "test/king/0.png cannot be used: it is empty" in words
    assert ".caf\\xe9: 1" in words


def test_a_page_that_is_left_is_replaced(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    page = tmp_path / "data/08_reporting/cards/dataset.html"
    page.parent.mkdir(parents=True)
    page.write_text("old")
    assert make_experiment(tmp_path, write_pictures(tmp_path / "pictures", count=60)).exit_code == 0
    assert len(page.read_text()) > 1000
    shutil.rmtree(tmp_path / "conf/cards")
    (page.parent / "manifest.json").mkdir()
    with pytest.raises(ConfigError, match="choose another name, or remove data/08_reporting/cards."):
        check_name("cards", tmp_path / "conf")


def test_labels_are_named_on_the_command_line(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    folder = write_pictures(tmp_path / "pictures", count=60)
    files = [file.relative_to(folder) for file in folder.rglob("*.png")]
    (folder / "l.csv").write_text("\n".join(["path,kind", *(f"{file},{int(file.stem) % 2}" for file in files)]))
    result = make_experiment(tmp_path, folder, "--labels=l.csv", "--label-column=kind")
    assert result.exit_code == 0, result.exception
    assert "2 classes: 0, 1\nlabels: column kind of l.csv\ntrain      120 pictures, 60 to 60 a class" in result.output
    stated = yaml.safe_load((tmp_path / "conf/cards/parameters.yml").read_text())["dataset"]
    assert (stated["labels"], stated["label_column"]) == ("l.csv", "kind")
    assert "folder_split" not in stated


def test_a_folder_that_cannot_be_written_leaves_nothing(tmp_path):
    with pytest.raises(TypeError):
        write_experiment(tmp_path, "cards", None)
    assert not list(tmp_path.iterdir())


def test_no_augmentation_experiment_without_classes(tmp_path):
    report = inspect_folder(write_pictures(tmp_path / "all", [""], ["one"], 100))
    with pytest.raises(
        ProjectError, match=r"^An augmentation experiment needs two classes or more, and all images are"
    ):
        check(tmp_path, report, "augment_dcgan")
