"""What FID and IS real images get: the floor under every generator's score on the same data and extractor.

    python benchmarks/real_against_real.py

reads conf/base/parameters.yml, and uses the prepared images and the fitted extractor of earlier runs if there are any.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from omegaconf import OmegaConf

from gan_pipelines.images import DatasetConfig, prepare_image_set
from gan_pipelines.metrics import (
    FeatureExtractor,
    FeatureMoments,
    ScoringConfig,
    frechet_distance,
    get_extractor,
    inception_score,
)
from gan_pipelines.stores import KeyedStore
from gan_pipelines.typed_config import from_dict

PROJECT = Path(__file__).resolve().parents[1]


def moments(extractor: FeatureExtractor, images: np.ndarray) -> FeatureMoments:
    """Mean and covariance of the features of (N, C, H, W) uint8 images."""
    result = FeatureMoments()
    result.update(extractor(torch.from_numpy(images)).features)
    return result


def main() -> None:
    """Print the floors."""
    parameters = OmegaConf.load(PROJECT / "conf/base/parameters.yml")
    dataset = from_dict(DatasetConfig, OmegaConf.to_container(parameters.dataset), "dataset")
    scoring = from_dict(ScoringConfig, OmegaConf.to_container(parameters.scoring), "scoring")
    image_set = prepare_image_set(KeyedStore(PROJECT / "data/02_intermediate/image_sets"), dataset)
    extractor = get_extractor(KeyedStore(PROJECT / "data/06_models/extractors"), image_set, scoring, "cpu")
    print(f"extractor: {extractor.provenance}")

    train, test = image_set.select("train"), image_set.select("test")
    all_train = moments(extractor, train.images)
    order = np.random.default_rng(0).permutation(len(train))
    halves = [moments(extractor, train.images[half]) for half in np.array_split(order, 2)]
    print(f"FID, half of train ({halves[0].count}) against the other half: {frechet_distance(*halves):.2f}")
    print(f"FID, test ({len(test)}) against train: {frechet_distance(moments(extractor, test.images), all_train):.2f}")
    logits = extractor(torch.from_numpy(train.images[order])).logits
    mean, std = inception_score(logits, scoring.is_splits)
    print(f"IS of train: {mean:.2f} ± {std:.2f}")


if __name__ == "__main__":
    main()
