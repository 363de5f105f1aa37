"""Bad input: every row of docs/bad_input.md with the very sentence that stands there, and what is seen before a run."""

from __future__ import annotations

import logging
import os
import re
import shutil
import struct
import tempfile
import urllib.request
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from kedro.io import DataCatalog
from omegaconf import OmegaConf
from PIL import Image

from gan_pipelines.classifier.resnet import Prediction
from gan_pipelines.core import disk
from gan_pipelines.core.errors import ProjectError
from gan_pipelines.core.hashing import hash_images
from gan_pipelines.core.stores import KeyedStore
from gan_pipelines.datasets import (
    CataloguedRun,
    CheckpointStoreDataset,
    GeneratorDataset,
    KeyedStoreDataset,
    RunsDataset,
)
from gan_pipelines.gan import (
    VARIANTS,
    CheckpointStore,
    GanConfig,
    ImageShape,
    NetworkConfig,
    OptimizerConfig,
    SamplingConfig,
    TrainedGenerator,
    sample_classes,
    train,
)
from gan_pipelines.images import DatasetConfig, ImageSet, inspect_folder, prepare_image_set
from gan_pipelines.metrics import FeatureExtractor, open_reference
from gan_pipelines.pipeline_registry import register_pipelines
from gan_pipelines.project.hooks import explain
from gan_pipelines.project.new_experiment import check_name
from gan_pipelines.project.parameters import configure_sampling
from gan_pipelines.project.preflight import check_run
from pictures import write_pictures

PROJECT = Path(__file__).parents[2]
TABLE = {
    kind.strip(): sentence.strip()
    for _, kind, sentence, _ in (
        line.split("|") for line in (PROJECT / "docs/bad_input.md").read_text().splitlines() if line.startswith("| ")
    )
    if kind.strip() not in ("What is wrong", "---")
}
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


def catalog_of(changes, without=()):
    """The digits experiment's parameters with some changed, as Kedro would put them into a catalog."""
    parameters = OmegaConf.load(PROJECT / "conf/base/parameters.yml")
    parameters.experiment = "digits"  # which Kedro takes from globals.yml
    for path, value in changes.items():
        OmegaConf.update(parameters, path, value, merge=False)
    values = OmegaConf.to_container(parameters, resolve=True)
    for path in without:
        section, name = path.split(".")
        del values[section][name]
    catalog = DataCatalog({"image_sets": KeyedStoreDataset(filepath="image_sets")})
    for variant in VARIANTS:
        for kind in ("checkpoints", "replicate_checkpoints"):
            catalog[f"{variant}.{kind}"] = CheckpointStoreDataset(filepath=kind)
        for kind in ("generator", "best_generator"):
            catalog[f"{variant}.{kind}"] = GeneratorDataset(filepath=f"{variant}.{kind}.safetensors")
    scores = {"type": "json.JSONDataset", "filepath": "reports/{variant}/scores.json"}
    catalog["all_runs"] = RunsDataset(entries={"scores": scores})
    catalog["parameters"] = values
    for section, value in values.items():
        catalog[f"params:{section}"] = value
    for variant, value in values["variants"].items():
        catalog[f"params:variants.{variant}"] = value
    return catalog


def preflight(changes=None, pipeline="train_wgan_gp"):
    check_run(register_pipelines()[pipeline], catalog_of(changes or {}))


SETTINGS = {
    "a setting that does not exist": {"variants.wgan_gp.discriminator_step": 3},
    "a section that does not exist": {"variant.cdcgan.epochs": 3},
    "a variant that does not exist": {"variants.cdgan.epochs": 3},
    "a number out of range": {"variants.wgan_gp.epochs": 0},
    "a text for a number": {"variants.wgan_gp.penalty.weight": "ten"},
    "weight clipping beside a gradient penalty": {"variants.wgan_gp.weight_clip": 0.01},
    "a Wasserstein critic that nothing holds back": {"variants.wgan_gp.penalty": None},
    "a rotation that the labels do not bear": {"variants.wgan_gp.transforms.rotation_degrees": 90},
    "mirror images of what has a left and a right": {"variants.wgan_gp.transforms.horizontal_flip": True},
    "a number for a list": {"dataset.train_splits": 1},
    "a source that does not exist": {"dataset.source": "imagenet"},
    "a source without its path": {"dataset.source": "image_folder"},
    "a size that the networks cannot make": {"dataset.image_size": 30},
    "two channels": {"dataset.channels": 2},
    "a split that the data lack": {"dataset.train_splits": ["train", "extra"]},
    "a reference split that the data lack": {"scoring.reference_split": "dev"},
    "a batch larger than the data": {"variants.wgan_gp.batch_size": 2000},
    "more critic steps than batches": {"variants.wgan_gp.discriminator_steps": 100},
    "grids every 0 epochs": {"reporting.grid_every_epochs": 0},
    "fewer samples than a score needs": {"scoring.samples": 5},
    "fewer samples while training than a score needs": {"scoring.during_training.samples": 9},
    "scores every 0 epochs while training": {"scoring.during_training.every_epochs": 0},
    "a device that does not exist": {"runtime.device": "gpu"},
    "Inception's weights named, but not there": {
        "scoring.extractor": "inception",
        "scoring.inception_weights": "inception.pth",
    },
}
SETTINGS_OF_OTHER_PIPELINES = {
    "a pipeline that does not exist": ("train_wgan_pg", {}),
    "weight clipping beside spectral norm": (
        "train_wgan",
        {"variants.wgan.weight_clip": 0.01, "variants.wgan.networks.spectral_norm": "discriminator"},
    ),
    "attention in networks without feature maps": ("train_mlp_gan", {"variants.mlp_gan.networks.attention": True}),
    "samples of too few for each class": ("train_acgan", {"scoring.samples": 19}),
    "fewer than one sample": ("sample_dcgan", {"sampling.count": -1}),
    "scoring before training": ("evaluate_dcgan", {}),
    "comparing before training": ("compare", {}),
    "an augmentation experiment on images that the GAN is trained on": (
        "augment_cdcgan",
        {"dataset.train_splits": ["train", "test"]},
    ),
    "an augmentation experiment that cannot tell a difference from chance": (
        "augment_cdcgan",
        {"augmentation.replicates": 1},
    ),
    "a fraction of the images above all of them": ("augment_cdcgan", {"augmentation.fractions": [0.1, 10]}),
    "a fraction of the images too small for a batch": ("augment_cdcgan", {"augmentation.fractions": [0.01, 1]}),
    "ordinary augmentation that the labels do not bear": (
        "augment_cdcgan",
        {"augmentation.transforms.horizontal_flip": True},
    ),
    "a confidence that no classifier has": ("augment_cdcgan", {"augmentation.synthetic.min_confidence": 1}),
}
CASES |= {kind: lambda _, changes=changes: preflight(changes) for kind, changes in SETTINGS.items()}
CASES |= {
    kind: lambda _, pipeline=pipeline, changes=changes: preflight(changes, pipeline)
    for kind, (pipeline, changes) in SETTINGS_OF_OTHER_PIPELINES.items()
}


@case("comparing without the entries of the ingestion")
def compare_without_ingestion(folder):
    scores = folder / "reports/dcgan/scores.json/2026/scores.json"
    scores.parent.mkdir(parents=True)
    scores.write_text("[]")
    preflight(pipeline="compare")


@case("two trainings in one run")
def train_two_variants(_):
    pipelines = register_pipelines()
    check_run(pipelines["train_dcgan"] + pipelines["train_wgan_gp"], catalog_of({}))


@case("a split of an unknown name")
def name_an_unknown_split(folder):
    preflight({"dataset.source": "image_folder", "dataset.path": str(folder), "dataset.folder_split": "dev"})


@case("a conditional variant without labels")
def train_without_labels(_):
    next(train(VARIANTS["acgan"], np.eye(200, 64, dtype=np.uint8).reshape(-1, 1, 8, 8)))


@case("a class that the generator does not know")
def sample_an_unknown_class(_):
    sample_classes(conditional_generator(), SamplingConfig(classes=("ace", "quen")), "cpu")


def conditional_generator():
    shape = ImageShape(1, 8, 8)
    return TrainedGenerator(VARIANTS["acgan"], shape, ("ace", "king", "queen"), training={}, weights={})


@case("less room on the disk than the data need")
def fill_the_disk_beforehand(folder):
    usage = shutil.disk_usage(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(disk.shutil, "disk_usage", lambda _: usage._replace(free=2**20))
        preflight({"dataset.image_size": 64})


def pictures_of(folder):
    """Parameters of a run on a few pictures in a folder."""
    return {"dataset.source": "image_folder", "dataset.path": str(folder), "variants.wgan_gp.batch_size": 2}


@case("a reference split of five pictures")
def refer_to_five_pictures(folder):
    write_pictures(folder)
    (folder / "test/king/0.png").unlink()
    preflight(pictures_of(folder) | {"scoring.reference_split": "test"})


@case("a class with one picture in the reference split")
def refer_to_one_picture_of_a_class(folder):
    write_pictures(folder, count=5)
    for path in sorted((folder / "test/king").iterdir())[1:]:
        path.unlink()
    changes = {"scoring.reference_split": "test", "variants.acgan.batch_size": 2}
    preflight(pictures_of(folder) | changes, "train_acgan")


def refer_to(folder, pixels, network):
    images = np.full((6, 1, 8, 8), pixels, dtype=np.uint8)
    images[0, 0, 0, 0] = 0
    labels, names = np.zeros(6, dtype=np.int64), tuple("abcdef")
    image_set = ImageSet(images, hash_images(images), labels, ("one",), {"train": 6}, "box", names)
    extractor = FeatureExtractor(network, {"name": "resnet18", "weights_hash": "0"})
    open_reference(KeyedStore(folder), image_set, extractor, "cpu")


@case("black reference images, or some that are from 0 to 1")
def refer_to_black_images(folder):
    refer_to(folder, 1, torch.nn.Identity())


@case("reference images that are all the same")
def refer_to_equal_images(folder):
    refer_to(folder, 0, torch.nn.Identity())


@case("an extractor whose features are no numbers")
def extract_no_numbers(folder):
    class Broken(torch.nn.Module):
        def forward(self, images):
            return Prediction(images.flatten(1) / torch.nan, images.flatten(1))

    refer_to(folder, 200, Broken())


@case("images that are not bytes, for an extractor")
def extract_from_floats(_):
    FeatureExtractor(torch.nn.Identity(), {})(torch.zeros(6, 1, 8, 8))


# Folders of pictures


def prepare(folder, **changes):
    config = DatasetConfig(source="image_folder", path=str(folder), image_size=8, channels=3)
    return prepare_image_set(KeyedStore(folder / ".sets"), replace(config, **changes))


def without_rights(cause):
    """Do something as a user who may read only what is open to all: root may read everything."""
    if os.geteuid():
        return cause()
    os.seteuid(NOBODY)
    try:
        return cause()
    finally:
        os.seteuid(0)


case("no folder there")(lambda folder: prepare(folder / "cards"))


@case("no folders of splits")
def prepare_folders_of_classes(folder):
    prepare(write_pictures(folder, splits=[""]))


@case("two folders for one split")
def prepare_one_split_twice(folder):
    prepare(write_pictures(folder, splits=["train", "val", "valid"]))


@case("a folder that is no split")
def prepare_an_unlabelled_split(folder):
    prepare(write_pictures(folder, splits=["train", "unlabelled"]))


@case("a stated split, but folders of splits")
def state_the_split_of_splits(folder):
    prepare(write_pictures(folder), folder_split="train")


@case("pictures without labels")
def leave_a_picture_outside_its_class(folder):
    write_pictures(folder)
    (folder / "test/king/1.png").rename(folder / "test/1.png")
    prepare(folder)


@case("one class only")
def train_on_one_class(folder):
    write_pictures(folder, classes=["ace"], count=6)
    preflight(pictures_of(folder))


@case("no split to check the classifier on")
def train_without_a_test_split(folder):
    write_pictures(folder, splits=[""], count=6)
    preflight(pictures_of(folder) | {"dataset.folder_split": "train"})


@case("a part held out of a folder that has splits")
def hold_out_a_part_of_splits(folder):
    preflight(pictures_of(folder) | {"dataset.test_fraction": 0.2})


@case("no classes")
def prepare_an_empty_split(folder):
    (folder / "train").mkdir()
    prepare(folder)


@case("a class that a split lacks")
def remove_a_class(folder):
    write_pictures(folder)
    shutil.rmtree(folder / "test/king")
    prepare(folder)


@case("an empty class")
def empty_a_class(folder):
    write_pictures(folder)
    for path in (folder / "test/king").iterdir():
        path.unlink()
    prepare(folder)


@case("a folder within a class")
def nest_a_folder(folder):
    write_pictures(folder)
    (folder / "train/ace/more").mkdir()
    prepare(folder)


@case("a folder that may not be read")
def forbid_a_folder(folder):
    write_pictures(folder)
    (folder / "train/ace").chmod(0)
    try:
        without_rights(lambda: prepare(folder))
    finally:
        (folder / "train/ace").chmod(0o755)


# Pictures


def damaged(folder, content):
    write_pictures(folder)
    (folder / "train/ace/1.png").write_bytes(content)
    return folder


case("a picture of zero bytes")(lambda folder: prepare(damaged(folder, b"")))
case("a file that is no picture")(lambda folder: prepare(damaged(folder, b"GIF or not")))


@case("a picture that is cut off")
def cut_a_picture_off(folder):
    whole = (write_pictures(folder) / "train/ace/1.png").read_bytes()
    (folder / "train/ace/1.png").write_bytes(whole[: len(whole) // 2])
    prepare(folder)


@case("a decompression bomb")
def plant_a_decompression_bomb(folder):
    write_pictures(folder)
    Image.new("1", (20_000, 10_000)).save(folder / "train/ace/1.png")
    prepare(folder)


@case("a picture that may not be read")
def forbid_a_picture(folder):
    write_pictures(folder)
    (folder / "train/ace/1.png").chmod(0)
    without_rights(lambda: prepare(folder))


@case("a class of which no picture is good, with on_bad_image: skip")
def damage_a_whole_class(folder):
    write_pictures(folder)
    for path in (folder / "test/king").iterdir():
        path.write_bytes(b"")
    prepare(folder, on_bad_image="skip")


# kedro experiment


case("`kedro experiment` of no folder")(lambda folder: inspect_folder(folder / "cards"))
case("`kedro experiment` of a few pictures")(lambda folder: inspect_folder(write_pictures(folder)))
case("`kedro experiment` of pictures none of which is for training")(
    lambda folder: inspect_folder(write_pictures(folder, splits=["test", "valid"]))
)
case("`kedro experiment` with a name that cannot be a folder's")(lambda folder: check_name("my cards", folder))
case("`kedro experiment` with a name that Kedro uses")(lambda folder: check_name("base", folder))


@case("`kedro experiment` of a single picture in a class")
def begin_with_one_picture_of_a_class(folder):
    write_pictures(folder, count=30)
    write_pictures(folder, classes=["queen"], count=1)
    inspect_folder(folder)


@case("`kedro experiment` with a name that is taken")
def begin_with_a_name_that_is_taken(folder):
    (folder / "conf/cards").mkdir(parents=True)
    check_name("cards", folder / "conf")


# torchvision's files


def torchvision(folder, source="fashion_mnist", **changes):
    config = DatasetConfig(source=source, path=str(folder), image_size=28, channels=1)
    return prepare_image_set(KeyedStore(folder / ".sets"), replace(config, **changes))


case("CIFAR-10 not there, and downloads not allowed")(lambda folder: torchvision(folder, "cifar10"))


@case("Fashion-MNIST not there, and no network")
def download_without_a_network(folder):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("http_proxy", "http://127.0.0.1:1")
        patch.setenv("https_proxy", "http://127.0.0.1:1")
        patch.setattr(urllib.request, "_opener", None)  # it remembers its proxies
        torchvision(folder, download=True)


@case("Fashion-MNIST cut off")
def cut_fashion_mnist_off(folder):
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


@case("losses that are no numbers any more")
def diverge(_):
    run(tiny(generator_optimizer=OptimizerConfig(learning_rate=1e30)))


@case("fewer epochs than done")
def ask_for_fewer_epochs(folder):
    store = CheckpointStore(folder)
    run(tiny(), store)
    run(tiny(epochs=2), store)


@case("a second process on the same training")
def train_what_is_being_trained(folder):
    store = CheckpointStore(folder)
    identity = run(tiny(), store)[-1].generator.training["fingerprint"]
    with store.open(identity):
        run(tiny(), store)


@case("no checkpoint that can be used")
def tear_all_checkpoints(folder):
    store = CheckpointStore(folder)
    run(tiny(), store)
    for path in folder.rglob("*.pt"):
        path.write_bytes(b"torn")
    run(tiny(), store)


@case("a generator's file that is torn")
def tear_a_generator(folder):
    run(tiny())[-1].generator.save(folder / "generator.safetensors")
    whole = (folder / "generator.safetensors").read_bytes()
    (folder / "generator.safetensors").write_bytes(whole[:-100])
    GeneratorDataset(filepath=str(folder / "generator.safetensors")).load()


@case("a full disk while something is saved")
def fill_the_disk_while_saving(folder):
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


# What the table has no row for


@pytest.mark.parametrize("name", register_pipelines())
def test_the_projects_own_parameters_pass(name):
    catalog = catalog_of({})
    for variant in VARIANTS:
        catalog[f"{variant}.generator"] = catalog[f"{variant}.best_generator"] = "in memory"
    catalog["image_grid"] = catalog["manifest"] = "in memory"
    catalog["all_runs"] = [CataloguedRun("wgan_gp", "1", {"scores": list})]
    check_run(register_pipelines()[name], catalog)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"variants.wgan_gp.epochz": 3}, "variants.wgan_gp.epochz is not a setting; did you mean epochs?"),
        ({"variants.wgan_gp": 5}, "variants.wgan_gp is 5, but must be a mapping of settings."),
        ({"variants.cdgan": {}}, "variants.cdgan is not a variant; did you mean cdcgan?"),
        ({"dataset.image_size": 28}, "dataset.image_size is '28x28', but must be 8x8, 16x16, 32x32, 64x64, ..."),
        ({"dataset.train_splits": ["dev"]}, "dataset.train_splits is 'dev', but must be one of"),
        ({"scoring.samples": 1}, "scoring.samples is 1, but must be 10 or more."),
        ({"scoring.classifier.stem": "big"}, "scoring.classifier.stem is 'big'"),
        ({"reporting.grids": 3}, "reporting.grids is not a setting; known are grid_every_epochs"),
        ({"runtime.fresh": "yes"}, "runtime.fresh is 'yes', but must be true or false."),
        ({"augmentations.seed": 3}, "augmentations is not a section of the parameters; did you mean augmentation?"),
    ],
)
def test_what_cannot_end_well_is_refused_before_the_start(changes, sentence):
    with pytest.raises(ProjectError, match=f"^{re.escape(sentence)}"):
        preflight(changes)


def test_a_variant_that_an_environment_lacks_is_named():
    with pytest.raises(ProjectError, match=r"says nothing of dcgan; variants.dcgan: \{\} in its parameters runs it"):
        check_run(register_pipelines()["train_dcgan"], catalog_of({}, without=["variants.dcgan"]))


def test_a_variant_without_settings_is_its_row():
    preflight({"variants.wgan_gp": None})


def test_settings_of_other_pipelines_are_not_checked():
    preflight({"variants.dcgan.epochs": 0})
    preflight({"scoring.samples": 0}, "ingest")


def test_sampling_is_checked_before_the_start():
    catalog = catalog_of({"sampling.count": 0})
    catalog["dcgan.generator"] = "in memory"
    with pytest.raises(ProjectError, match="^sampling.count is 0, but must be 1 or more"):
        check_run(register_pipelines()["sample_dcgan"], catalog)


@pytest.mark.parametrize("classes", [[3, "7"], "3;7", "3; 7"])
def test_classes_are_a_list_or_a_text_as_the_command_line_gives_it(classes):
    assert configure_sampling({"classes": classes}).classes == ("3", "7")
    assert configure_sampling({"classes": 3}).classes == ("3",)
    assert configure_sampling({"classes": None}).classes is None


@pytest.mark.parametrize("values", [None, 3])
def test_sampling_is_a_mapping(values):
    with pytest.raises(ProjectError, match=f"^sampling is {values}, but must be a mapping of settings"):
        configure_sampling(values)
