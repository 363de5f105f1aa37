"""Compare features of the same images from several versions of PyTorch and numbers of threads.

    python benchmarks/same_features.py extract IMAGES OUT/torch-2.15-1.npy --threads 1
    python benchmarks/same_features.py compare OUT

``extract`` writes the features that ``imagenet`` has for IMAGES, a file of images (N, C, H, W) uint8.
It needs nothing of the project but `gan_pipelines.metrics`, so that it runs in a bare environment as well. ``compare``
prints how far each file of OUT lies from the first one: the largest difference of a feature, and that of the FID of the
first half of the images against the second.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from gan_pipelines.metrics import Moments, extract_features, frechet_distance, open_pretrained

BATCH = 500


def main() -> None:
    """Extract features, or compare them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    extract = commands.add_parser("extract")
    extract.add_argument("images", type=Path)
    extract.add_argument("out", type=Path)
    extract.add_argument("--threads", type=int, default=1)
    commands.add_parser("compare").add_argument("folder", type=Path)
    options = parser.parse_args()
    if options.command == "extract":
        torch.set_num_threads(options.threads)
        np.save(options.out, extract_all(torch.from_numpy(np.load(options.images))))
    else:
        compare(options.folder)


def extract_all(images: Tensor) -> np.ndarray:
    """Extract features (N, 1280) of images (N, C, H, W) uint8."""
    predictions = extract_features(open_pretrained("imagenet"), images.split(BATCH), "real")
    return torch.cat([prediction.features for prediction in predictions]).numpy()


def compare(folder: Path) -> None:
    """Print the differences of each file from the first one."""
    features = {path.stem: torch.from_numpy(np.load(path)) for path in sorted(folder.glob("*.npy"))}
    distances = {name: distance_of_halves(each) for name, each in features.items()}
    first, *others = features
    print(f"{first}: {len(features[first]):,} images, largest feature {features[first].max():.3f}, FID of the halves")
    print(f"  {distances[first]:.6f}")
    for name in others:
        largest = (features[name] - features[first]).abs().max()
        print(f"{name}: features differ by up to {largest:.1e}, FID by {distances[name] - distances[first]:+.1e}")


def distance_of_halves(features: Tensor) -> float:
    """FID of the first half of the images against the second."""
    first, second = (Moments.of_stream(half.split(BATCH)) for half in features.tensor_split(2))
    return frechet_distance(first, second)


if __name__ == "__main__":
    main()
