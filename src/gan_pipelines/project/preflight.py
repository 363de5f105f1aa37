"""Checks before a run of all that can be known before it starts."""

from __future__ import annotations

import json
import math
import shlex
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
import yaml
from kedro.io import AbstractVersionedDataset, DataCatalog, DatasetError
from kedro.io.core import VersionNotFoundError
from kedro.pipeline import Pipeline
from numpy.typing import NDArray

from gan_pipelines.augmentation.config import AugmentationConfig, check_balance
from gan_pipelines.augmentation.replicates import count_synthetic
from gan_pipelines.augmentation.splits import check_fractions, check_splits, count_drawn, training_sizes
from gan_pipelines.augmentation.synthetic_sets import synthetic_bytes
from gan_pipelines.core.config import ConfigError, naming, require
from gan_pipelines.core.devices import resolve_device
from gan_pipelines.core.disk import require_space
from gan_pipelines.core.errors import ProjectError, first_line
from gan_pipelines.core.stores import KeyedStore
from gan_pipelines.datasets import GeneratorDataset
from gan_pipelines.execution import check_engine
from gan_pipelines.gan import (
    CheckpointStore,
    ImageShape,
    MilestoneStore,
    SamplingConfig,
    TrainedGenerator,
    check_classes,
    check_steps,
    checkpoint_bytes,
    generator_bytes,
    summarize_networks,
)
from gan_pipelines.gan.config import GanConfig, TransformConfig
from gan_pipelines.gan.networks import FAMILIES
from gan_pipelines.gan.summary import LayerSummary
from gan_pipelines.images import DatasetConfig, ImageSource, bytes_to_prepare, open_folder, open_source
from gan_pipelines.metrics import ScoringConfig, check_class_sizes, open_pretrained
from gan_pipelines.metrics.config import MIN_IMAGES
from gan_pipelines.metrics.extractors import HELDOUT_SPLIT
from gan_pipelines.project.parameters import Parameters
from gan_pipelines.tracking.tags import list_subjects


def check_run(
    pipeline: Pipeline,
    catalog: DataCatalog,
    parameters: Parameters,
    pipelines: Mapping[str, Pipeline],
    env: str | None = None,
) -> None:
    """Check device, engine, dataset, networks, feature extractor, required entries, and room on the disk.

    Args:
        pipeline: what is to be run.
        catalog: in which it is run.
        parameters: those that the pipeline uses.
        pipelines: all pipelines by name, for the commands that sentences name.
        env: Kedro's environment, for the commands that sentences name.

    Raises:
        ProjectError: with a sentence that says what is wrong and what to do.
    """
    subjects = list_subjects(pipeline)
    if len(subjects) > 1:  # their metrics and files have the same names in MLflow
        raise ConfigError(
            f"One run is of one variant, or of one folder, and this one would be of {' and '.join(subjects)}: run each "
            "alone."
        )
    if parameters.runtime is not None:
        with naming("runtime"):
            resolve_device(parameters.runtime.device)
    if parameters.dataset is not None:
        _check_images(parameters.dataset, open_source(parameters.dataset), pipeline, catalog, parameters)
    check_entries(pipeline.inputs(), catalog, pipelines, f"kedro run --env={env}" if env else "kedro run")
    if parameters.runtime is not None and parameters.augmentation is not None:
        check_engine(parameters.runtime, catalog.load("image_sets").root)
    if parameters.sampling is not None and parameters.sampling.classes is not None:
        for name in sorted(pipeline.inputs()):
            if name.endswith(".generator"):
                _check_classes(parameters.sampling, catalog.load(name))


def check_transforms(path: str, transforms: TransformConfig, dataset: DatasetConfig) -> None:
    """Raise a `ConfigError` if transforms would make labels wrong or shift images out of sight.

    Args:
        path: name of the setting.
        transforms: of images.
        dataset: says which transforms keep its labels right, and how large its images are.
    """
    setting, allowed = "dataset.label_preserving", dataset.label_preserving
    require(
        allowed.horizontal_flip or not transforms.horizontal_flip,
        f"{path}.horizontal_flip",
        True,
        f"false for these images: {setting}.horizontal_flip says whether their labels bear it",
    )
    require(
        transforms.rotation_degrees <= allowed.rotation_degrees,
        f"{path}.rotation_degrees",
        transforms.rotation_degrees,
        f"at most {allowed.rotation_degrees:g} for these images: {setting}.rotation_degrees is what labels bear",
    )
    padding, size = transforms.crop_padding, dataset.image_size
    require(padding < size, f"{path}.crop_padding", padding, f"below dataset.image_size, {size}")


def check_entries(inputs: set[str], catalog: DataCatalog, pipelines: Mapping[str, Pipeline], kedro_run: str) -> None:
    """Raise a `ConfigError` if an entry that another run makes, or the version that is asked for, is not there.

    Args:
        inputs: names of the entries.
        catalog: where they are looked up.
        pipelines: all pipelines by name, one of which makes an entry.
        kedro_run: the command that runs one, for sentences.
    """
    if "all_runs" in inputs and not any("scores" in run or "verdicts" in run for run in catalog.load("all_runs")):
        raise ConfigError(f"There is nothing to compare yet: {kedro_run} --pipelines=train_<variant> makes scores.")
    for name in sorted(inputs, reverse=True):  # a generator before the best one
        dataset = catalog.get(name)
        if isinstance(dataset, AbstractVersionedDataset):
            maker = next(maker for maker, pipeline in pipelines.items() if name in pipeline.all_outputs())
            _check_entry(name, dataset, f"{kedro_run} --pipelines={maker}")


def _check_entry(name: str, dataset: AbstractVersionedDataset[Any, Any], command: str) -> None:
    """Raise a `ConfigError` if an entry is not there, or cannot be read; the command makes one."""
    if not dataset.exists():
        if versions := _list_versions(dataset):
            raise ConfigError(
                f"There is no version {dataset.resolve_load_version()} of {name}; there are {', '.join(versions)}."
            )
        raise ConfigError(f"There is no {name} in the catalog yet: {command} makes one.")
    try:
        dataset.load()
    except DatasetError as error:
        if isinstance(error.__cause__, ProjectError):
            raise
        raise ConfigError(
            f"{name} cannot be read ({first_line(error.__cause__ or error)}): {command} makes another, or choose an "
            f"earlier one with --load-versions={name}:<version>."
        ) from error


def _list_versions(dataset: AbstractVersionedDataset[Any, Any]) -> list[str]:
    """The versions of an entry, newest first; of a generator, the milestones after them."""
    versions: list[str] = []
    with suppress(VersionNotFoundError):
        versions = dataset.list_versions(full_path=False)
    return versions + (dataset.milestones.list_versions() if isinstance(dataset, GeneratorDataset) else [])


def _check_classes(sampling: SamplingConfig, generator: TrainedGenerator) -> None:
    """Check the classes to generate; the sentence says how to ask for names that need quotes."""
    try:
        check_classes(generator, sampling)
    except ConfigError as error:
        odd = next((name for name in generator.class_names if not _is_read_as_typed(name)), None)
        if odd is None:
            raise
        quoted = f"[{json.dumps(odd, ensure_ascii=False)}]"
        how = (
            f"sampling: {{classes: {quoted}}} in parameters.yml"
            if "," in odd  # Kedro takes it for the end of the parameter, quoted or not
            else f"--params={shlex.quote(f'sampling.classes={quoted}')}"
        )
        raise ConfigError(f"{error} (a name such as {odd} is quoted: {how})") from error


def _is_read_as_typed(name: str) -> bool:
    """Whether a class can be asked for by its bare name on the command line."""
    try:
        return str(yaml.safe_load(name)) == name and not set(name) & set(",;")
    except yaml.YAMLError:
        return False


def _check_images(
    dataset: DatasetConfig, source: ImageSource, pipeline: Pipeline, catalog: DataCatalog, parameters: Parameters
) -> None:
    """Check splits, networks, scores, the experiment, and free disk space."""
    split_sizes = Counter(item.split for item in source.items)
    class_sizes = training_sizes(_count_classes(source, ("train",)).tolist(), "valid" in split_sizes)
    for split in dataset.train_splits:
        _require_split("dataset.train_splits", split, split_sizes)
    image_sets: KeyedStore = catalog.load("image_sets")
    needs = {image_sets.root: bytes_to_prepare(image_sets, source, dataset)}
    if parameters.folder is not None:
        pictures = open_folder(parameters.folder, dataset, source.class_names)
        needs[image_sets.root] += bytes_to_prepare(image_sets, pictures, dataset)
        if parameters.scoring is not None:
            _check_pictures(len(pictures.items), parameters.scoring)
        if parameters.augmentation is not None:
            _check_ratios(len(pictures.items), parameters.augmentation, class_sizes)
    if parameters.augmentation is not None:
        _check_experiment(parameters.augmentation, dataset, source, split_sizes)
        check_fractions(parameters.augmentation.fractions, class_sizes)
        for name in filter(lambda name: name.endswith(".synthetic_store"), pipeline.inputs()):
            synthetic: KeyedStore = catalog.load(name)
            image_bytes = math.prod(dataset.image_shape)
            needs[synthetic.root] = synthetic_bytes(synthetic, parameters.augmentation, sum(class_sizes), image_bytes)
    for variant, config in parameters.variants.items():
        layers = _check_networks(variant, config, dataset, source, split_sizes)
        state_bytes = checkpoint_bytes(layers)
        checkpoints: CheckpointStore = catalog.load(f"{variant}.checkpoints")
        needs[checkpoints.root] = (checkpoints.keep + 1) * state_bytes
        if parameters.reporting is not None:
            milestones: MilestoneStore = catalog.load(f"{variant}.milestones")
            kept = len(parameters.reporting.list_milestones(config.epochs))
            needs[milestones.root] = kept * generator_bytes(layers)
            needs[checkpoints.root] += kept * state_bytes * parameters.reporting.restartable_milestones
        if parameters.augmentation is not None:
            _check_replicates(parameters.augmentation, variant, config, class_sizes)
            trainings = len(parameters.augmentation.fractions) * parameters.augmentation.replicates
            states: CheckpointStore = catalog.load(f"{variant}.replicate_checkpoints")
            needs[states.root] = (trainings * states.keep + 1) * state_bytes
    require_space(needs)
    if parameters.scoring is not None:
        _check_scoring(parameters.scoring, split_sizes, source)
        is_conditional = any(FAMILIES[config.networks.family].conditional for config in parameters.variants.values())
        if is_conditional and any(name.endswith(".scores") for name in pipeline.datasets()):
            _check_class_sizes(parameters.scoring, source)


def _check_networks(
    variant: str, config: GanConfig, dataset: DatasetConfig, source: ImageSource, split_sizes: Counter[str]
) -> list[LayerSummary]:
    """Check that a variant fits the images; return the layers of its networks."""
    check_transforms(f"variants.{variant}.transforms", config.transforms, dataset)
    if FAMILIES[config.networks.family].conditional:
        _require_classes(variant, source)
    layers = _summarize(variant, config, ImageShape(*dataset.image_shape), len(source.class_names))
    with naming(f"variants.{variant}"):
        check_steps(config, sum(split_sizes[split] for split in dataset.train_splits))
    return layers


def _summarize(variant: str, config: GanConfig, shape: ImageShape, num_classes: int) -> list[LayerSummary]:
    """List the layers of the networks. Raises a `ConfigError` about the setting that does not fit."""
    try:
        return summarize_networks(config, shape, num_classes)
    except ConfigError as error:
        section = "dataset" if error.path == "image_size" else f"variants.{variant}.networks"
        raise error.within(section) from error


def _check_experiment(
    experiment: AugmentationConfig, dataset: DatasetConfig, source: ImageSource, split_sizes: Counter[str]
) -> None:
    _require_classes("An augmentation experiment", source)
    check_splits(dataset.train_splits, list(split_sizes))
    if experiment.probe is not None:
        open_pretrained(experiment.probe, setting="augmentation.probe")
    check_transforms("augmentation.transforms", experiment.transforms, dataset)
    with naming("augmentation.synthetic"):
        check_balance(experiment.synthetic, source.class_names)


def _check_replicates(
    experiment: AugmentationConfig, variant: str, config: GanConfig, class_sizes: Sequence[int]
) -> None:
    """Check that a variant can be trained on the smallest fraction of the images."""
    smallest = sum(count_drawn(class_sizes, min(experiment.fractions)))
    try:
        check_steps(config, smallest)
    except ConfigError as error:
        raise ConfigError(
            f"augmentation.fractions has {min(experiment.fractions):g}, which leaves {smallest} training images, and "
            f"variants.{variant}.{error}"
        ) from error


def _check_scoring(scoring: ScoringConfig, split_sizes: Counter[str], source: ImageSource) -> None:
    for split in scoring.reference_split:
        _require_split("scoring.reference_split", split, split_sizes)
    count = sum(split_sizes[split] for split in scoring.reference_split)
    allowed = f"a split with {MIN_IMAGES} images or more"
    require(count >= MIN_IMAGES, "scoring.reference_split", scoring.reference, allowed)
    batch, allowed = scoring.during_training.batch, f"at most the {count} images of scoring.reference_split"
    require(batch is None or batch <= count, "scoring.during_training.batch", batch, allowed)
    if scoring.extractor != "classifier":
        open_pretrained(scoring.extractor, scoring.extractor_weights)
    else:
        _require_classes("scoring.extractor: classifier", source)
        if HELDOUT_SPLIT not in split_sizes:
            raise ConfigError(
                f"scoring.extractor: classifier needs a {HELDOUT_SPLIT} split, and the dataset has only "
                f"{', '.join(split_sizes)}; put some images of each class into a folder {HELDOUT_SPLIT} or, beside "
                "dataset.folder_split: train, set dataset.test_fraction: 0.2."
            )


def _check_pictures(count: int, scoring: ScoringConfig) -> None:
    needed = scoring.fewest_samples
    require(count >= needed, "number of pictures in folder.path", count, f"{needed} or more, to be scored")


def _check_ratios(count: int, experiment: AugmentationConfig, class_sizes: Sequence[int]) -> None:
    """Check that there are enough pictures for the arms of two ratios to differ."""
    if len(experiment.ratios) > 1:
        real = sum(count_drawn(class_sizes, max(experiment.fractions)))
        needed = count_synthetic(sorted(experiment.ratios)[-2], real)
        allowed = f"above {needed}: the arms of augmentation.ratios would have the same pictures"
        require(count > needed, "number of pictures in folder.path", count, allowed)


def _require_classes(what: str, source: ImageSource) -> None:
    if len(source.class_names) < 2:
        raise ConfigError(
            f"{what} needs two classes or more, and all images are {source.class_names[0]}; add a folder for another "
            "class, or train dcgan and score it with scoring.extractor: imagenet."
        )


def _check_class_sizes(scoring: ScoringConfig, source: ImageSource) -> None:
    check_class_sizes(source.class_names, _count_classes(source, scoring.reference_split), scoring.samples)


def _count_classes(source: ImageSource, splits: Collection[str]) -> NDArray[np.int64]:
    """Number of images of each class in some splits."""
    labels = [item.label for item in source.items if item.split in splits]
    return np.bincount(labels, minlength=len(source.class_names))


def _require_split(name: str, split: str, split_sizes: Counter[str]) -> None:
    require(split in split_sizes, name, split, f"one of {', '.join(split_sizes)}")
