"""Pipelines of the project by name."""

from __future__ import annotations

from kedro.pipeline import Pipeline

from gan_pipelines.core.config import suggest
from gan_pipelines.core.errors import ProjectError
from gan_pipelines.gan.variants import DEFAULT_VARIANT, VARIANTS
from gan_pipelines.pipelines import augmentation, evaluation, export, ingestion, reporting, sampling, training


class PipelineUnknown(ProjectError, KeyError):
    """An unknown pipeline name. Kedro raises its own error with this one as the cause."""

    __str__ = Exception.__str__  # KeyError would quote the sentence


class Pipelines(dict[str, Pipeline]):
    """Pipelines by name, with a suggestion for an unknown name."""

    def __missing__(self, name: str) -> Pipeline:
        """Raise `PipelineUnknown` with the nearest name."""
        raise PipelineUnknown(f"There is no pipeline {name!r}; {suggest(name, list(self))}")


def register_pipelines() -> dict[str, Pipeline]:
    """Create all pipelines.

    They are ``ingest`` and ``compare``; for each variant ``train_``, ``evaluate_``, ``sample_``,
    ``export_`` and ``augment_<variant>``; for pictures made elsewhere ``evaluate_folder`` and ``augment_folder``; and
    ``__default__``, which trains and scores one variant, and then runs its experiment.
    """
    ingest = ingestion.create_pipeline()
    monitoring = evaluation.create_monitoring_pipeline()
    pipelines = Pipelines(ingest=ingest, compare=reporting.create_pipeline())
    for variant in VARIANTS:
        evaluate = ingest + evaluation.create_pipeline(variant)
        check = training.create_check_pipeline(variant)
        model = export.create_pipeline(variant, after=["score_findings", "neighbours"])
        pipelines[f"train_{variant}"] = monitoring + training.create_pipeline(variant) + evaluate + model + check
        pipelines[f"evaluate_{variant}"] = evaluate
        pipelines[f"sample_{variant}"] = sampling.create_pipeline(variant)
        files = export.create_pipeline(variant) + export.create_scoring_pipeline(variant)
        pipelines[f"export_{variant}"] = ingest + files
        pipelines[f"augment_{variant}"] = monitoring + ingest + augmentation.create_pipeline(variant)
    folder = ingestion.create_folder_pipeline()
    pipelines["evaluate_folder"] = folder + evaluation.create_folder_pipeline()
    pipelines["augment_folder"] = folder + augmentation.create_folder_pipeline()
    experiment = augmentation.create_pipeline(DEFAULT_VARIANT, after=["score_findings", "neighbours", "model"])
    pipelines["__default__"] = pipelines[f"train_{DEFAULT_VARIANT}"] + experiment
    return pipelines
