from __future__ import annotations

from pathlib import Path

import pytest
from kedro.io import DataCatalog
from omegaconf import OmegaConf

from gan_pipelines.core.errors import ProjectError
from gan_pipelines.datasets import CataloguedRun, CheckpointStoreDataset, KeyedStoreDataset
from gan_pipelines.gan.variants import VARIANTS
from gan_pipelines.pipeline_registry import register_pipelines
from gan_pipelines.project.parameters import configure_sampling
from gan_pipelines.project.preflight import check_run

PARAMETERS = Path(__file__).parents[2] / "conf/base/parameters.yml"


def catalog_of(changes):
    """The digits experiment's parameters with some changed, as Kedro would put them into a catalog."""
    parameters = OmegaConf.load(PARAMETERS)
    parameters.experiment = "digits"  # which Kedro takes from globals.yml
    for path, value in changes.items():
        OmegaConf.update(parameters, path, value, merge=False)
    catalog = DataCatalog({"image_sets": KeyedStoreDataset(filepath="nowhere/image_sets")})
    for variant in VARIANTS:
        for kind in ("checkpoints", "replicate_checkpoints"):
            catalog[f"{variant}.{kind}"] = CheckpointStoreDataset(filepath=f"nowhere/{kind}")
    for path in parameters:
        catalog[f"params:{path}"] = OmegaConf.to_container(
            OmegaConf.create({"x": OmegaConf.select(parameters, path)}), resolve=True
        )["x"]
    for variant, overrides in OmegaConf.to_container(parameters.variants).items():
        catalog[f"params:variants.{variant}"] = overrides
    return catalog


@pytest.mark.parametrize("name", register_pipelines())
def test_the_projects_own_parameters_pass(name):
    catalog = catalog_of({})
    for variant in VARIANTS:
        catalog[f"{variant}.generator"] = catalog[f"{variant}.best_generator"] = "in memory"
    catalog["image_grid"] = catalog["manifest"] = "in memory"
    catalog["all_runs"] = [CataloguedRun("wgan_gp", "1", {"scores": list})]
    check_run(register_pipelines()[name], catalog)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"variants.wgan_gp.epochz": 3}, "variants.wgan_gp.epochz is not a setting; did you mean epochs?"),
        ({"variants.wgan_gp.epochs": 0}, "variants.wgan_gp.epochs is 0, but must be 1 or more."),
        ({"variants.wgan_gp.penalty.weight": "ten"}, "variants.wgan_gp.penalty.weight is 'ten', but must be a number."),
        ({"variants.wgan_gp": 5}, "variants.wgan_gp is 5, but must be a mapping of settings."),
        ({"dataset.image_size": 28}, "dataset.image_size is '28x28', but must be 8x8, 16x16, 32x32, 64x64, ..."),
        (
            {"dataset.source": "mnist"},
            "dataset.source is 'mnist', but must be one of digits, image_folder, cifar10, fashion_mnist.",
        ),
        ({"scoring.samples": 1}, "scoring.samples is 1, but must be 10 or more."),
        ({"scoring.classifier.stem": "big"}, "scoring.classifier.stem is 'big'"),
        ({"scoring.reference_split": "dev"}, "scoring.reference_split is 'dev', but must be one of"),
        ({"dataset.train_splits": ["dev"]}, "dataset.train_splits is 'dev', but must be one of"),
        (
            {"variants.wgan_gp.batch_size": 2000},
            "variants.wgan_gp.batch_size is 2000, but must be at most the 1257 images",
        ),
        (
            {"variants.wgan_gp.discriminator_steps": 99},
            "variants.wgan_gp.discriminator_steps is 99, but must be at most the 39 batches of an epoch",
        ),
        ({"runtime.device": "gpu"}, "runtime.device is 'gpu', but must be one of auto, cpu, cuda, mps."),
        ({"reporting.grid_every_epochs": 0}, "reporting.grid_every_epochs is 0, but must be 1 or more."),
        ({"reporting.grids": 3}, "reporting.grids is not a setting; known are grid_every_epochs"),
        ({"runtime.fresh": "yes"}, "runtime.fresh is 'yes', but must be true or false."),
        ({"augmentations.seed": 3}, "augmentations is not a section of the parameters; did you mean augmentation?"),
        ({"variants.cdgan": {}}, "variants.cdgan is not a variant; did you mean cdcgan?"),
        (
            {"scoring.extractor": "inception", "scoring.inception_weights": "nowhere.pth"},
            "Inception's weights could not be read from nowhere.pth",
        ),
    ],
)
def test_what_cannot_end_well_is_refused_before_the_start(changes, message):
    with pytest.raises(ProjectError) as caught:
        check_run(register_pipelines()["train_wgan_gp"], catalog_of(changes))
    assert str(caught.value).startswith(message)


def test_a_variant_that_an_environment_lacks_is_named():
    catalog = catalog_of({})
    catalog = DataCatalog({name: catalog[name] for name in catalog if name != "params:variants.dcgan"})
    with pytest.raises(ProjectError, match=r"says nothing of dcgan; variants.dcgan: \{\} in its parameters runs it"):
        check_run(register_pipelines()["train_dcgan"], catalog)


def test_one_run_trains_one_variant():
    both = register_pipelines()["train_dcgan"] + register_pipelines()["train_wgan_gp"]
    with pytest.raises(ProjectError, match="this one would train dcgan and wgan_gp: run each alone"):
        check_run(both, catalog_of({}))


def test_a_variant_without_settings_is_its_row():
    check_run(register_pipelines()["train_wgan_gp"], catalog_of({"variants.wgan_gp": None}))


def test_settings_of_other_pipelines_are_not_checked():
    check_run(register_pipelines()["train_wgan_gp"], catalog_of({"variants.dcgan.epochs": 0}))
    check_run(register_pipelines()["ingest"], catalog_of({"scoring.samples": 0}))


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
