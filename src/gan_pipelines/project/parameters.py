"""Parameters of a run, parsed once: sections of parameters.yml become typed configurations before a node sees them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import BeforeValidator

from gan_pipelines.augmentation.config import AugmentationConfig
from gan_pipelines.core.config import (
    ConfigError,
    Count,
    Positive,
    Switch,
    config,
    parse,
    require,
    split_numbers,
    suggest,
)
from gan_pipelines.execution.config import ExecutionConfig
from gan_pipelines.gan.config import GanConfig, SamplingConfig
from gan_pipelines.gan.variants import VARIANTS, parse_variant
from gan_pipelines.images.config import DatasetConfig, FolderConfig
from gan_pipelines.metrics.config import ScoringConfig
from gan_pipelines.serving.config import ExportConfig
from gan_pipelines.tracking.entries import PARAMETERS


@config
class ReportingConfig:
    """What a training leaves of its epochs, beside the last and the best generator.

    Attributes:
        grid_every_epochs: epochs between two sample grids; the first and the last epoch have one as well.
        grid_at_epochs: more epochs with a sample grid; 0.5 is half of the first one. Those after the last are left out.
        milestone_every_epochs: epochs between two generators that are kept as versions of ``<variant>.generator``; null
            keeps none.
        restartable_milestones: keep the whole state of these epochs as well, for ``runtime.restart_epoch``.
    """

    grid_every_epochs: Count
    grid_at_epochs: Annotated[tuple[Positive, ...], BeforeValidator(split_numbers)] = ()
    milestone_every_epochs: Count | None = None
    restartable_milestones: Switch = False

    def __post_init__(self) -> None:
        is_possible = self.milestone_every_epochs is not None or not self.restartable_milestones
        require(is_possible, "restartable_milestones", True, "false unless milestone_every_epochs is set")

    def list_milestones(self, epochs: int) -> range:
        """The epochs up to this one whose generators are kept."""
        every = self.milestone_every_epochs
        return range(0) if every is None else range(every, epochs + 1, every)


@config
class RuntimeConfig(ExecutionConfig):
    """Settings of the machine, which change no result.

    Attributes:
        fresh: train from the beginning, even if there is a checkpoint.
        restart_epoch: delete the checkpoints that are newer than the restartable milestone of this epoch, and train
            from there; null goes on from the newest checkpoint. The generators of ``augment_<variant>`` have none.
        system_metrics: sample the load of CPU, memory, disk, network and GPU every ten seconds, for MLflow.
    """

    fresh: Switch = False
    restart_epoch: Count | None = None
    system_metrics: Switch = True

    def __post_init__(self) -> None:
        super().__post_init__()
        is_possible = self.restart_epoch is None or not self.fresh
        require(is_possible, "restart_epoch", self.restart_epoch, "null with fresh: true, which deletes all states")


SECTIONS: Final[Mapping[str, type]] = {
    "dataset": DatasetConfig,
    "scoring": ScoringConfig,
    "augmentation": AugmentationConfig,
    "sampling": SamplingConfig,
    "export": ExportConfig,
    "folder": FolderConfig,
    "reporting": ReportingConfig,
    "runtime": RuntimeConfig,
}
"""Configuration class by section. ``variants`` is separate: each starts from its row in `VARIANTS`."""


@dataclass(frozen=True)
class Parameters:
    """The typed parameters of one run; a section that the run does not use is None."""

    experiment: str
    variants: Mapping[str, GanConfig] = field(default_factory=dict)
    dataset: DatasetConfig | None = None
    scoring: ScoringConfig | None = None
    augmentation: AugmentationConfig | None = None
    sampling: SamplingConfig | None = None
    export: ExportConfig | None = None
    folder: FolderConfig | None = None
    reporting: ReportingConfig | None = None
    runtime: RuntimeConfig | None = None

    def anchored(self, project: Path) -> Parameters:
        """Take relative paths of files from the project's folder, wherever the run is started."""
        dataset, scoring, folder = self.dataset, self.scoring, self.folder
        if dataset is not None and dataset.path is not None:
            dataset = replace(dataset, path=_anchor(dataset.path, project))
        if scoring is not None and scoring.extractor_weights is not None:
            scoring = replace(scoring, extractor_weights=_anchor(scoring.extractor_weights, project))
        if folder is not None and folder.path is not None:
            folder = replace(folder, path=_anchor(folder.path, project))
        return replace(self, dataset=dataset, scoring=scoring, folder=folder)

    def value(self, entry: str) -> Any:
        """The typed value of a catalog entry such as ``params:dataset`` or ``params:runtime.device``."""
        section, name = _split_entry(entry)
        found = getattr(self, section)
        if not name:
            return found
        return found[name] if section == "variants" else getattr(found, name)


def _anchor(path: str, project: Path) -> str:
    """The path as stated, if the project's folder is the working directory; else the whole path."""
    stated = Path(path).expanduser()
    return str(stated if project.resolve() == Path.cwd() else project / stated)


def parse_parameters(raw: Mapping[str, Any], entries: Iterable[str]) -> Parameters:
    """Parse the sections that a run uses.

    Args:
        raw: all parameters of the environment, as YAML gives them.
        entries: names of catalog entries; those that begin with ``params:`` say which sections the run uses.

    Raises:
        ConfigError: if a section or variant is unknown or missing, or a setting in a section that is used is wrong.
    """
    _check_names(raw)
    used = sorted(_split_entry(entry) for entry in entries if entry.startswith(PARAMETERS))
    sections: dict[str, Any] = {}
    variants: dict[str, GanConfig] = {}
    for section, name in used:
        if section in SECTIONS and section not in sections:
            sections[section] = parse(SECTIONS[section], _find(raw, section), section)
        elif section == "variants":
            variants[name] = _find_variant(raw, name)
    return Parameters(experiment=_find(raw, "experiment"), variants=variants, **sections)


def _split_entry(entry: str) -> tuple[str, str]:
    """``params:runtime.device`` becomes ``("runtime", "device")``, and ``params:dataset`` ``("dataset", "")``."""
    section, _, name = entry.removeprefix(PARAMETERS).partition(".")
    return section, name


def _find(raw: Mapping[str, Any], section: str) -> Any:
    if section not in raw:
        raise ConfigError(f"The parameters of this environment lack {section}; {suggest(section, list(raw))}")
    return raw[section]


def _find_variant(raw: Mapping[str, Any], variant: str) -> GanConfig:
    stated = raw.get("variants") or {}
    if variant not in stated:
        raise ConfigError(
            f"This environment says nothing of {variant}; variants.{variant}: {{}} in its parameters runs it with the "
            "settings of its paper."
        )
    return parse_variant(variant, stated[variant])


def _check_names(raw: Mapping[str, Any]) -> None:
    """Raise a `ConfigError` if the name of a section or variant is unknown."""
    known = ["experiment", "variants", *SECTIONS]
    for section in raw:
        require(isinstance(section, str), "a name of a section", section, "a text")
        if section not in known:
            raise ConfigError(f"{section} is not a section of the parameters; {suggest(section, known)}")
    variants = raw.get("variants") or {}
    require(isinstance(variants, Mapping), "variants", variants, "a mapping of variants")
    for variant in variants:
        if variant not in VARIANTS:
            raise ConfigError(f"variants.{variant} is not a variant; {suggest(variant, list(VARIANTS))}")
