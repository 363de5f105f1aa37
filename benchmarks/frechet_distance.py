"""Compare time and error of the Fréchet distance with scipy's matrix square root and torch-fidelity.

    python benchmarks/frechet_distance.py docs/results/scores/frechet_distance.csv

Both Gaussians have the same axes, so their distance has a closed form. The eigenvalues of the covariances fall off like
those of features. In the singular cases half of them are 0, as with fewer images than features. Writes medians.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import scipy.linalg
import torch
from torch_fidelity.metric_fid import fid_statistics_to_metric

from gan_pipelines.metrics import Moments, frechet_distance

ROUNDS = 3
COUNT = 10_000
"""Number of images that the moments are said to come from; it does not change the distance."""


def main() -> None:
    """Alternate the contenders, and write medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--sizes", type=int, nargs="+", default=[512, 2048])
    options = parser.parse_args()
    rows = []
    for size in options.sizes:
        for is_singular in (False, True):
            first, second, expected = make_pair(size, is_singular)
            traces = np.trace(first[1]) + np.trace(second[1])
            for round_number in range(ROUNDS):
                for name, measure in CONTENDERS.items():
                    started = time.perf_counter()
                    distance = measure(first, second)
                    seconds = time.perf_counter() - started
                    error = abs(distance - expected) / traces
                    row = {"features": size, "singular": is_singular, "contender": name, "round": round_number}
                    rows.append(row | {"seconds": seconds, "error": error})
                    print(rows[-1], flush=True)
    table = pd.DataFrame(rows).groupby(["features", "singular", "contender"], sort=False)[["seconds", "error"]].median()
    table.to_csv(options.out)
    print(table)


Gaussian = tuple[np.ndarray, np.ndarray]
"""Mean (D,) and covariance (D, D)."""


def make_pair(size: int, is_singular: bool) -> tuple[Gaussian, Gaussian, float]:
    """Make two Gaussians with the same axes; return them and their Fréchet distance."""
    draws = np.random.default_rng(size)
    axes, _ = np.linalg.qr(draws.normal(size=(size, size)))
    deviations = draws.uniform(0.5, 1.5, (2, size)) / np.sqrt(np.arange(1, size + 1))
    if is_singular:
        deviations[:, size // 2 :] = 0
    means = draws.normal(size=(2, size)) / size
    first, second = [(mean, (axes * std**2) @ axes.T) for mean, std in zip(means, deviations, strict=True)]
    return first, second, float(np.sum((means[0] - means[1]) ** 2) + np.sum((deviations[0] - deviations[1]) ** 2))


def compute_ours(first: Gaussian, second: Gaussian) -> float:
    """Compute the distance with this project."""
    moments = [
        Moments(COUNT, torch.from_numpy(mean), torch.from_numpy(covariance) * (COUNT - 1))
        for mean, covariance in (first, second)
    ]
    return frechet_distance(*moments)


def compute_by_sqrtm(first: Gaussian, second: Gaussian) -> float:
    """Compute the distance with scipy's square root of a matrix, as is common."""
    root = scipy.linalg.sqrtm(first[1] @ second[1])
    return float(np.sum((first[0] - second[0]) ** 2) + np.trace(first[1] + second[1] - 2 * np.real(root)))


def compute_by_torch_fidelity(first: Gaussian, second: Gaussian) -> float:
    """Compute the distance with torch-fidelity."""
    statistics = [{"mu": mean, "sigma": covariance} for mean, covariance in (first, second)]
    return float(fid_statistics_to_metric(*statistics, verbose=False)["frechet_inception_distance"])


CONTENDERS: dict[str, Callable[[Gaussian, Gaussian], float]] = {
    "ours": compute_ours,
    "scipy sqrtm": compute_by_sqrtm,
    "torch-fidelity": compute_by_torch_fidelity,
}


if __name__ == "__main__":
    main()
