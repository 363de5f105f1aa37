"""torch-fidelity's feature extractors, from weights of which nothing is ever unpickled.

Images are resized and normalised as torch-fidelity does it, so that features, and with them scores, are the same.
"""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import Any, get_args
from zipfile import ZipFile, is_zipfile

import torch
from torch import Tensor
from torch.nn import functional as F

from gan_pipelines.classifier.resnet import Prediction
from gan_pipelines.metrics.config import ClipName, DinoName
from gan_pipelines.metrics.pretrained import (
    HASH_PREFIX_DIGITS,
    PretrainedNetwork,
    State,
    find_published,
    hash_file,
    read_weights,
)

INCEPTION_LAYERS = ["2048", "logits_unbiased"]
SIZE = 224
"""Width and height of the images of VGG16 and DINOv2."""
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
CLIP_MEAN, CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
DINO_MODELS: dict[DinoName, tuple[str, str]] = {
    "dinov2-vit-s-14": ("dinov2_vits14", "vit_small_patch14_dinov2"),
    "dinov2-vit-b-14": ("dinov2_vitb14", "vit_base_patch14_dinov2"),
    "dinov2-vit-l-14": ("dinov2_vitl14", "vit_large_patch14_dinov2"),
    "dinov2-vit-g-14": ("dinov2_vitg14", "vit_giant_patch14_dinov2"),
}
"""Names of DINOv2's weights and of timm's networks."""
DINO_URL = "https://dl.fbaipublicfiles.com/dinov2/{name}/{name}_pretrain.pth"
DINO_PATCHES = 16
"""Patches of 14 pixels along a side of an image."""
DINO_OFFSET = 0.1
"""What DINOv2 adds to that number when it resizes its position embedding."""
CLIP_NAMES: tuple[ClipName, ...] = get_args(ClipName)


class InceptionNetwork(PretrainedNetwork):
    """Inception v3 (Heusel et al. 2017) on images of 299x299: 2,048 features and 1,008 logits.

    Args:
        weights: a file, or None for the published one.
    """

    def __init__(self, weights: Path | None) -> None:
        super().__init__()
        from torch_fidelity import (  # noqa: PLC0415 (loads torchvision, a second)
            feature_extractor_inceptionv3 as inception,
        )

        state = read_weights(weights or _find_named(inception.URL_INCEPTION_V3))
        checked = io.BytesIO()  # torch-fidelity unpickles what it reads: it gets what has been read without
        torch.save(state, checked)
        checked.seek(0)
        self.inception = inception.FeatureExtractorInceptionV3(
            "inception-v3-compat", INCEPTION_LAYERS, feature_extractor_weights_path=checked
        )

    def extract(self, images: Tensor) -> Prediction:
        """Extract features and logits of (N, 3, H, W) uint8 images."""
        return Prediction(*self.inception(images))


class VggNetwork(PretrainedNetwork):
    """VGG16 (Simonyan & Zisserman 2015) on images of 224x224: 4,096 features, after ReLU, and 1,000 logits.

    torch-fidelity takes the features for logits in its Inception Score; this is the network's own classification.

    Args:
        weights: a file with the names of torchvision's, or None for the published one.
    """

    def __init__(self, weights: Path | None) -> None:
        super().__init__()
        from torchvision.models import VGG16_Weights, vgg16  # noqa: PLC0415 (a second)

        state = read_weights(weights or _find_named(VGG16_Weights.IMAGENET1K_V1.url))
        with torch.device("meta"):
            self.network = vgg16(init_weights=False)
        self.network.load_state_dict(state, assign=True)
        self.requires_grad_(False)
        self.eval()

    def extract(self, images: Tensor) -> Prediction:
        """Extract features and logits of (N, 3, H, W) uint8 images."""
        maps = self.network.avgpool(self.network.features(_prepare(images, SIZE, IMAGENET_MEAN, IMAGENET_STD)))
        features = self.network.classifier[:-1](maps.flatten(1))
        return Prediction(features, self.network.classifier[-1](features))


class ClipNetwork(PretrainedNetwork):
    """The image encoder of CLIP (Radford et al. 2021): features before their normalisation, and no logits.

    Args:
        name: torch-fidelity's name of the network.
        weights: a file with the names of the published one; or that file itself, which is TorchScript; or None for it.

    Raises:
        ValueError: if a file in TorchScript is not the published one.
    """

    def __init__(self, name: ClipName, weights: Path | None) -> None:
        super().__init__()
        from torch_fidelity.feature_extractor_clip import (  # noqa: PLC0415 (loads torchvision, a second)
            MODEL_METADATA,
            MODEL_URLS,
            build_model,
        )

        sha256 = MODEL_METADATA[name]["hash"]
        path = weights or find_published(MODEL_URLS[name], f"{name}-{sha256}.pt", sha256)
        self.network = build_model(_read_clip(path, sha256), torch.float32).visual

    def extract(self, images: Tensor) -> Prediction:
        """Extract features of (N, 3, H, W) uint8 images."""
        return _without_logits(self.network(_prepare(images, self.network.input_resolution, CLIP_MEAN, CLIP_STD)))


class DinoNetwork(PretrainedNetwork):
    """DINOv2 (Oquab et al. 2023) on images of 224x224: the class token, and no logits.

    Its Fréchet distance is the FD-DINOv2 of Stein et al. 2023, whose images are resized with another filter.

    Args:
        name: torch-fidelity's name of the network.
        weights: a file with the names of the published one, or None for it.

    Raises:
        ModuleNotFoundError: if timm is not installed.
    """

    def __init__(self, name: DinoName, weights: Path | None) -> None:
        super().__init__()
        import timm  # noqa: PLC0415 (seconds to load, and optional)
        from timm.models.vision_transformer import checkpoint_filter_fn  # noqa: PLC0415

        published, architecture = DINO_MODELS[name]
        url = DINO_URL.format(name=published)
        state = read_weights(weights or find_published(url, Path(url).name))
        state["pos_embed"] = _resize_positions(state["pos_embed"])
        network: Any = timm.create_model(architecture, pretrained=False, img_size=SIZE, num_classes=0)
        network.load_state_dict(checkpoint_filter_fn(state, network))
        self.network = network
        self.requires_grad_(False)
        self.eval()

    def extract(self, images: Tensor) -> Prediction:
        """Extract features of (N, 3, H, W) uint8 images."""
        return _without_logits(self.network(_prepare(images, SIZE, IMAGENET_MEAN, IMAGENET_STD)))


def _find_named(url: str) -> Path:
    """Find a published file whose name ends with the first digits of its SHA-256."""
    path = Path(url)
    return find_published(url, path.name, path.stem[-HASH_PREFIX_DIGITS:])


def _read_clip(path: Path, sha256: str) -> State:
    """Read CLIP's weights; the published file, which is TorchScript, only if it is that file."""
    if not _is_torchscript(path):
        return read_weights(path)
    if hash_file(path) != sha256:
        raise ValueError("it is TorchScript, which may run code, and not the published file")
    state: State = torch.jit.load(path, map_location="cpu").state_dict()
    return state


def _is_torchscript(path: Path) -> bool:
    if not is_zipfile(path):
        return False
    with ZipFile(path) as archive:
        return any(Path(name).name == "constants.pkl" for name in archive.namelist())


def _prepare(images: Tensor, size: int, mean: tuple[float, float, float], std: tuple[float, float, float]) -> Tensor:
    """Resize (N, 3, H, W) uint8 images as TensorFlow 1 does, to floats (N, 3, size, size), and normalise them."""
    from torch_fidelity.interpolate_compat_tensorflow import (  # noqa: PLC0415 (loads torchvision, a second)
        interpolate_bilinear_2d_like_tensorflow1x,
    )

    resized = interpolate_bilinear_2d_like_tensorflow1x(images.float(), size=(size, size), align_corners=False)
    shift, scale = (resized.new_tensor([255 * value for value in values]).view(3, 1, 1) for values in (mean, std))
    return (resized - shift) / scale


def _without_logits(features: Tensor) -> Prediction:
    return Prediction(features, features.new_empty(len(features), 0))


def _resize_positions(embedding: Tensor) -> Tensor:
    """Resize the position embedding (1, 1 + side², D) of DINOv2's training to images of 224x224, as its authors do."""
    token, patches = embedding[:, :1], embedding[:, 1:]
    side = math.isqrt(patches.shape[1])
    grid = patches.reshape(1, side, side, -1).permute(0, 3, 1, 2)
    scale = (DINO_PATCHES + DINO_OFFSET) / side
    resized = F.interpolate(grid, scale_factor=(scale, scale), mode="bicubic")
    return torch.cat([token, resized.flatten(2).transpose(1, 2)], dim=1)
