"""Training computes what it computed when the numbers in golden.json were written: one epoch of five steps."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from gan_pipelines.gan import VARIANTS, train

GOLDEN = json.loads((Path(__file__).parents[1] / "fixtures/golden.json").read_text())["training"]


@pytest.fixture(autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_losses_of_a_seeded_epoch_have_not_changed(variant):
    row = VARIANTS[variant]
    config = replace(
        row,
        networks=replace(row.networks, width=8, latent_size=8),
        batch_size=8,
        discriminator_steps=min(row.discriminator_steps, 2),
        precision="fp32",
        epochs=1,
        seed=3,
    )
    images = np.random.default_rng(0).integers(0, 256, (40, 1, 16, 16), dtype=np.uint8)
    (epoch,) = train(config, images, np.arange(40) % 4, class_names=("a", "b", "c", "d"), device="cpu")
    losses = {name: epoch.metrics[name] for name in GOLDEN[variant]}
    # The absolute tolerance is for the losses of a critic that has just begun, which are near 0.
    assert losses == pytest.approx(GOLDEN[variant], rel=1e-3, abs=1e-6), (
        "The same settings give other weights. If that is meant, raise ALGORITHM_VERSION in gan/state.py and write the "
        "new losses into tests/fixtures/golden.json."
    )
