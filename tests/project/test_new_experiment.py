"""What is suggested for a folder of pictures, and that a run takes it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import yaml
from kedro.io import DataCatalog

from gan_pipelines import settings
from gan_pipelines.core.errors import ProjectError
from gan_pipelines.datasets import CheckpointStoreDataset, KeyedStoreDataset
from gan_pipelines.images import inspect_folder
from gan_pipelines.pipeline_registry import register_pipelines
from gan_pipelines.project import preflight
from gan_pipelines.project.new_experiment import choose_variant, suggest_parameters, write_experiment
from gan_pipelines.project.parameters import parse_parameters
from gan_pipelines.project.preflight import check_run
from pictures import write_pictures


@pytest.fixture
def report(tmp_path):
    return inspect_folder(write_pictures(tmp_path / "my cards", [""], count=40))


def counts_of(report, count):
    return replace(report, class_counts={"train": dict.fromkeys(report.train_counts, count)})


def suggest(report, has_gpu=False):
    return yaml.safe_load(suggest_parameters(report, "data/my cards", has_gpu))


def check(folder, report, pipeline):
    """Write an environment, load it as Kedro does, and check a run with it."""
    conf = folder / "conf"
    (conf / "base").mkdir(parents=True)
    stated = ["experiment: ${globals:experiment}", "augmentation: {}", "reporting: {}", "runtime: {device: cpu}"]
    (conf / "base/parameters.yml").write_text("\n".join(stated))
    (conf / "base/globals.yml").write_text("experiment: digits\n")
    write_experiment(conf, "cards", suggest_parameters(report, report.dataset.path, has_gpu=False))
    loader = settings.CONFIG_LOADER_CLASS(str(conf), env="cards", **settings.CONFIG_LOADER_ARGS)
    assert loader["globals"] == {"experiment": "cards"}
    parameters = loader["parameters"]
    catalog = DataCatalog({"image_sets": KeyedStoreDataset(filepath=f"{folder}/image_sets")})
    for kind in ("checkpoints", "replicate_checkpoints"):
        catalog[f"{choose_variant(report)}.{kind}"] = CheckpointStoreDataset(filepath=f"{folder}/{kind}")
    store = KeyedStoreDataset(filepath=f"{folder}/synthetic_store")
    catalog[f"{choose_variant(report)}.synthetic_store"] = store
    run = register_pipelines()[pipeline]
    check_run(run, catalog, parse_parameters(parameters, run.inputs()))


@pytest.mark.parametrize(
    "path", ["/pictures/${x}", r"/a\${b}\\${", "/what #1?: é 100%", "/'\"`", "$HOME/~ {x}", "/a\tb\nc"]
)
def test_the_path_of_the_pictures_is_read_as_it_was_written(tmp_path, report, path):
    (tmp_path / "conf/base").mkdir(parents=True)
    write_experiment(tmp_path / "conf", "cards", suggest_parameters(report, path, has_gpu=False))
    loader = settings.CONFIG_LOADER_CLASS(str(tmp_path / "conf"), env="cards", **settings.CONFIG_LOADER_ARGS)
    assert loader["parameters"]["dataset"]["path"] == path


@pytest.mark.integration
@pytest.mark.parametrize("pipeline", ["train_cdcgan", "augment_cdcgan"])
@pytest.mark.parametrize("splits", [("",), ("train", "test")])
def test_a_run_takes_what_is_written(tmp_path, splits, pipeline):
    check(tmp_path, inspect_folder(write_pictures(tmp_path / "my cards", splits, count=100)), pipeline)


def test_an_unconditional_run_takes_pictures_of_one_class(tmp_path, monkeypatch):
    monkeypatch.setattr(preflight, "open_inception", lambda weights: None)
    report = inspect_folder(write_pictures(tmp_path / "all", [""], ["one"], 100))
    check(tmp_path, report, "train_dcgan")
    assert set(suggest(report)["variants"]) == {"dcgan"}
    assert "augmentation" not in suggest(report)


def test_the_folder_and_what_was_seen_in_it_is_stated(report):
    dataset = {
        "source": "image_folder",
        "path": "data/my cards",
        "folder_split": "train",
        "test_fraction": 0.2,
        "image_size": 16,
        "channels": 3,
        "train_splits": ["train"],
        "label_preserving": {"horizontal_flip": False, "rotation_degrees": 0},
    }
    assert suggest(report)["dataset"] == dataset
    damaged = replace(report, skipped=("one",), dataset=replace(report.dataset, on_bad_image="skip", channels=1))
    assert suggest(damaged)["dataset"] == dataset | {"on_bad_image": "skip", "channels": 1}


@pytest.mark.parametrize(("pictures", "epochs"), [(100, 1000), (7500, 16), (1_000_000, 1)])
def test_a_training_sees_about_as_many_images_whatever_their_number(report, pictures, epochs):
    assert suggest(counts_of(report, pictures // 2))["variants"]["cdcgan"]["epochs"] == epochs


@pytest.mark.parametrize(("pictures", "samples"), [(100, 1000), (7624, 8000), (60_000, 10_000)])
def test_scores_are_taken_of_about_as_many_samples_as_there_are_pictures(report, pictures, samples):
    scoring = suggest(counts_of(report, pictures // 2))["scoring"]
    assert scoring["samples"] == samples
    assert scoring["during_training"]["samples"] == min(samples, 2000)


def test_every_class_has_samples(report):
    many = replace(report, class_counts={"train": dict.fromkeys(map(str, range(600)), 5)})
    assert suggest(many)["scoring"]["samples"] == 6000


@pytest.mark.parametrize(("pictures", "fraction"), [(200, 1), (600, 0.25), (2000, 0.1)])
def test_a_fraction_leaves_pictures_to_train_on(report, pictures, fraction):
    assert suggest(counts_of(report, pictures // 2))["augmentation"]["fractions"] == [fraction]


def test_a_gpu_gets_wider_networks_and_a_longer_training(report):
    report = counts_of(report, 5000)
    on_cpu, on_gpu = (suggest(report, has_gpu)["variants"]["cdcgan"] for has_gpu in (False, True))
    assert on_gpu["networks"]["width"] > on_cpu["networks"]["width"]
    assert on_gpu["epochs"] > on_cpu["epochs"]


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
