"""Exported generators: ONNX networks with a description, a card, and scores."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from gan_pipelines.core.findings import Findings
from gan_pipelines.core.score_names import MILESTONE
from gan_pipelines.gan import WEIGHT_SETS, ImageShape, TrainedGenerator, WeightSet
from gan_pipelines.gan.config import parse_saved
from gan_pipelines.gan.sampling import Decoder
from gan_pipelines.metrics import summarize_scores
from gan_pipelines.metrics.averages import hash_key
from gan_pipelines.serving.card import write_card
from gan_pipelines.serving.config import ExportConfig
from gan_pipelines.serving.onnx_networks import PROVIDERS, to_onnx

logger = logging.getLogger(__name__)

CODE: Final = Path(__file__).with_name("served_generator.py")
"""The file that serves a generator."""
REQUIREMENTS: Final = ("mlflow-skinny", "numpy", "onnxruntime", "pandas", "pillow", "pydantic")
"""Packages that it needs; pandas is for MLflow's server."""
DESCRIPTION: Final = "description.json"
SECTION: Final = "exported/"
"""Prefix of the metrics of an exported generator."""


@dataclass(frozen=True, kw_only=True)
class ExportedGenerator(TrainedGenerator):
    """A generator whose networks are ONNX files, which onnxruntime computes on the CPU.

    Its samples have the latents of the generator that it was made from, so their scores can be compared. It has no
    ``weights``.

    Attributes:
        networks: for each set of weights an ONNX file.
        scores: records of the scores of that generator; empty if it has none.
        card: model card, in Markdown.
    """

    networks: Mapping[WeightSet, bytes]
    scores: Sequence[Mapping[str, Any]]
    card: str

    @property
    def input_example(self) -> list[dict[str, Any]]:
        """A request of one image: of all classes there may be more than a request may ask for."""
        classes = {"classes": [self.class_names[0]]} if self.is_conditional else {}
        return [{"count": 1, "seed": 0, **classes}]

    @property
    def findings(self) -> Findings | None:
        """Its scores in brief; None if it has none."""
        return summarize_scores(self.scores) if self.scores else None

    def _open(self, weights: WeightSet, device: torch.device) -> Decoder:
        """Open a network in onnxruntime, which computes on the CPU; ``device`` gets the images."""
        from onnxruntime import InferenceSession  # noqa: PLC0415 (not for exporting)

        session = InferenceSession(self.networks[weights], providers=list(PROVIDERS))

        def make_images(latents: Tensor, labels: Tensor | None) -> Tensor:
            inputs = {"latents": latents} | ({"labels": labels} if self.is_conditional and labels is not None else {})
            part = {name: values.cpu().numpy() for name, values in inputs.items()}
            return torch.from_numpy(session.run(None, part)[0]).to(device)

        return make_images

    def list_files(self) -> dict[str, bytes]:
        """The files that `served_generator.py` needs, by name: a network for each set of weights, and a description."""
        description = {
            "latent_size": self.config.networks.latent_size,
            "is_conditional": self.is_conditional,
            "class_names": self.class_names,
            "image_shape": self.image_shape,
            "config": asdict(self.config),
            "training": dict(self.training),
            "version": self.version,
            "scores": self.scores,
        }
        files = {f"{weights}.onnx": network for weights, network in self.networks.items()}
        return files | {DESCRIPTION: json.dumps(description, indent=2).encode()}

    @classmethod
    def read(cls, folder: Path, card: str) -> ExportedGenerator:
        """Read the files that `list_files` lists. Raises a `ConfigError` if this version does not know a setting."""
        description = json.loads((folder / DESCRIPTION).read_text())
        return cls(
            config=parse_saved(description["config"], str(folder / DESCRIPTION)),
            image_shape=ImageShape(*description["image_shape"]),
            class_names=tuple(description["class_names"]),
            training=description["training"],
            weights={},
            version=description["version"],
            networks={weights: (folder / f"{weights}.onnx").read_bytes() for weights in WEIGHT_SETS},
            scores=description["scores"],
            card=card,
        )


def export_generator(
    generator: TrainedGenerator, scores: Sequence[Mapping[str, Any]], config: ExportConfig, experiment: str
) -> ExportedGenerator:
    """Export a generator.

    Args:
        generator: the generator.
        scores: records of scores; those of other generators are left out.
        config: what its card says of its use.
        experiment: name of the experiment, for the card.
    """
    own = [score for score in scores if _is_of(score["identity"], generator)]
    if not own:
        logger.warning(
            "There are no scores of version %s in those that were given; the model's card has none.", generator.version
        )
    described = {each.name: getattr(generator, each.name) for each in fields(generator)}
    return ExportedGenerator(
        **described | {"weights": {}},
        networks=to_onnx(generator),
        scores=own,
        card=write_card(generator, own, config, experiment),
    )


def _is_of(identity: Mapping[str, Any], generator: TrainedGenerator) -> bool:
    return identity["generator"] in ("last", MILESTONE) and identity["generator_version"] == generator.version


def compare_scores(exported: Sequence[Mapping[str, Any]], generator: ExportedGenerator) -> Findings:
    """Compare the FID of an exported generator with that of the generator that it was made from.

    Args:
        exported: records of its scores.
        generator: the exported generator, with the scores of the other.

    Returns:
        metrics with the prefix `SECTION`, and a sentence for each set of weights.
    """
    before = {(score["identity"]["weights"], hash_key(score)): score["value"] for score in generator.scores}
    fids = [score for score in exported if score["metric"] == "fid"]
    return Findings(
        metrics={f"{SECTION}{score['identity']['weights']}_fid": score["value"] for score in fids},
        tags={},
        sentences=tuple(_compare(score, before) for score in fids),
    )


def _compare(score: Mapping[str, Any], before: Mapping[tuple[str, str], float]) -> str:
    weights, samples = score["identity"]["weights"], score["comparability"]["samples"]
    known = before.get((weights, hash_key(score)))
    original = "the generator itself has no such score" if known is None else f"the generator itself has {known:.2f}"
    return f"exported, {weights} weights: FID {score['value']:.2f} of {samples:,} samples; {original}"
