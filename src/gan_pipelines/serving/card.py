"""The card of a model: what it is, what it was made of, how good it is, and where it fails."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from gan_pipelines.core.score_names import HEADLINES
from gan_pipelines.gan import TrainedGenerator
from gan_pipelines.metrics.averages import KEY_DIGITS, hash_key
from gan_pipelines.serving.config import ExportConfig
from gan_pipelines.serving.onnx_networks import OPSET, PROVIDERS

NOT_STATED = "not stated"


def write_card(
    generator: TrainedGenerator, scores: Sequence[Mapping[str, Any]], config: ExportConfig, experiment: str
) -> str:
    """Write a model card in Markdown.

    Args:
        generator: the generator.
        scores: records of its scores; empty if it has none.
        config: what is stated about its use.
        experiment: name of the experiment, which is that of its dataset.
    """
    sections = {
        f"Generator of {experiment}": _describe(generator),
        "Dataset": [f"- name: {experiment}", f"- hash of the training images: `{generator.training['data_hash']}`"],
        "Scores": [*_tabulate(scores)],
        "Use": [f"- licence: {config.licence or NOT_STATED}", f"- intended use: {config.intended_use or NOT_STATED}"],
        "Known failures": [*_list_failures(generator, scores, config)],
    }
    return "\n\n".join(f"# {title}\n\n" + "\n".join(lines) for title, lines in sections.items()) + "\n"


def _describe(generator: TrainedGenerator) -> list[str]:
    config, training, shape = generator.config, generator.training, generator.image_shape
    classes = ", ".join(generator.class_names) if generator.is_conditional else "not asked for by class"
    origin = {
        "networks": f"{config.networks.family}, width {config.networks.width}",
        "objective": config.objective,
        "images": f"{shape.height}x{shape.width}, {shape.channels} channels, uint8",
        "classes": classes,
        "latents": f"{config.networks.latent_size} numbers, N(0, 1)",
        "trained": f"epoch {training['epoch']}, {training['images_seen']:,} images, seed {training['seed']}",
        "training": training["fingerprint"],
        "recipe": training["recipe"],
        "version in the catalog": generator.version or NOT_STATED,
        "MLflow run of the training": training.get("mlflow_run_id") or NOT_STATED,
        "file": f"ONNX, opset {OPSET}, {' and '.join(PROVIDERS)}; weights ema and raw",
    }
    return [f"- {name}: {value}" for name, value in origin.items()]


def _tabulate(scores: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """A row for each set of weights, each value with the key that scores must share to be compared."""
    if not scores:
        yield "None were measured of this version."
        return
    key, extractor = scores[0]["comparability"], scores[0]["extractor"]
    accuracy = f", held-out accuracy {extractor['heldout_accuracy']:.1%}" if "heldout_accuracy" in extractor else ""
    yield f"{key['samples']:,} samples against {key['reference_split']}, {key['extractor']}{accuracy}."
    yield ""
    yield "| weights | score | value | key |"
    yield "|---|---|---|---|"
    for score in scores:
        if score["metric"] in HEADLINES:
            weights, digits = score["identity"]["weights"], hash_key(score)[:KEY_DIGITS]
            yield f"| {weights} | {score['metric']} | {score['value']:.4g} | `{digits}` |"


def _list_failures(
    generator: TrainedGenerator, scores: Sequence[Mapping[str, Any]], config: ExportConfig
) -> Iterator[str]:
    failure = generator.training.get("failure")
    found = [f"The training has failed: {failure}"] if failure else []
    flags = {flag for score in scores for flag in score["flags"]}
    yield from (f"- {each}" for each in [*found, *sorted(flags), *config.known_failures])
    yield "- It makes images like those of its dataset, and no others; some may repeat training images."
