"""Saved models of a conditional generator and of one without classes."""

from __future__ import annotations

import mlflow
import pytest

from gan_pipelines.datasets import ExportedGeneratorDataset
from gan_pipelines.serving import ExportConfig, export_generator
from random_generators import make_generator


def save(variant, folder, **options):
    """Save a generator as a model; return both."""
    generator = make_generator(variant, **options)
    path = folder / variant
    ExportedGeneratorDataset(filepath=str(path)).save(export_generator(generator, [], ExportConfig(), "cards"))
    return generator, path


@pytest.fixture(scope="session")
def conditional_model(tmp_path_factory):
    return save("cdcgan", tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="session")
def conditional(conditional_model):
    generator, path = conditional_model
    return generator, mlflow.pyfunc.load_model(str(path))


@pytest.fixture(scope="session")
def unconditional(tmp_path_factory):
    generator, path = save("mlp_gan", tmp_path_factory.mktemp("model"), size=8, channels=1)
    return generator, mlflow.pyfunc.load_model(str(path))
