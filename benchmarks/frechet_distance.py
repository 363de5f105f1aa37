"""The Fréchet distance beside scipy's matrix square root and torch-fidelity's: seconds, and error to the closed form.

    python benchmarks/frechet_distance.py docs/results/scores/frechet_distance.csv

Both Gaussians share their axes, so that their distance is known; the spectra fall off as those of features do, and in
the second half of the cases half of the axes have no spread at all, as with fewer images than features.
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


def main() -> None:
    """Alternate the contenders, and write medians."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--sizes", type=int, nargs="+", default=[512, 2048])
    options = parser.parse_args()
    rows = []
    for size in options.sizes:
        for is_singular in (False, True):
            first, second, expected = known_pair(size, is_singular)
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


def known_pair(size: int, is_singular: bool) -> tuple[Gaussian, Gaussian, float]:
    """Two Gaussians (mean, covariance) with the same axes, and their distance."""
    draws = np.random.default_rng(size)
    axes, _ = np.linalg.qr(draws.normal(size=(size, size)))
    spreads = draws.uniform(0.5, 1.5, (2, size)) / np.sqrt(np.arange(1, size + 1))
    if is_singular:
        spreads[:, size // 2 :] = 0
    means = draws.normal(size=(2, size)) / size
    first, second = [(mean, (axes * spread**2) @ axes.T) for mean, spread in zip(means, spreads, strict=True)]
    return first, second, float(np.sum((means[0] - means[1]) ** 2) + np.sum((spreads[0] - spreads[1]) ** 2))


def ours(first: Gaussian, second: Gaussian) -> float:
    """The project's."""
    moments = [
        Moments(COUNT, torch.from_numpy(mean), torch.from_numpy(covariance) * (COUNT - 1))
        for mean, covariance in (first, second)
    ]
    return frechet_distance(*moments)


def by_sqrtm(first: Gaussian, second: Gaussian) -> float:
    """The formula as it is usually programmed."""
    root = scipy.linalg.sqrtm(first[1] @ second[1])
    return float(np.sum((first[0] - second[0]) ** 2) + np.trace(first[1] + second[1] - 2 * np.real(root)))


def by_torch_fidelity(first: Gaussian, second: Gaussian) -> float:
    """torch-fidelity's."""
    statistics = [{"mu": mean, "sigma": covariance} for mean, covariance in (first, second)]
    return float(fid_statistics_to_metric(*statistics, verbose=False)["frechet_inception_distance"])


CONTENDERS: dict[str, Callable[[Gaussian, Gaussian], float]] = {
    "ours": ours,
    "scipy sqrtm": by_sqrtm,
    "torch-fidelity": by_torch_fidelity,
}


if __name__ == "__main__":
    main()
