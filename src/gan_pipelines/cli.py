"""The project's own commands, such as ``kedro experiment``, and Kedro's ``run``."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import click
from kedro.framework.cli.project import run as kedro_run
from kedro.framework.cli.utils import KedroCliError, env_option
from kedro.framework.project import settings
from kedro.framework.startup import ProjectMetadata
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from gan_pipelines.core.config import ConfigError, flatten, merge, naming, parse, require
from gan_pipelines.core.errors import first_line, printable
from gan_pipelines.core.files import atomic_write
from gan_pipelines.core.runtime import DeviceName
from gan_pipelines.gan.variants import DEFAULT_VARIANT
from gan_pipelines.project.hooks import install_excepthook
from gan_pipelines.project.parameters import RuntimeConfig
from gan_pipelines.project.session import ProjectSession, check_runner_name

# Kedro imports this module before any command runs, and after it has set up logging, which may install a handler too.
install_excepthook()


@click.group(name="gan_pipelines")
def cli() -> None:
    """Commands of the project."""


class RunCommand(click.Command):
    """A command that runs pipelines, with a sentence where values in ``--params`` cannot be read."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the options. Raises a `ConfigError` if a parameter is not YAML, or has another one behind it."""
        try:
            rest = super().parse_args(ctx, args)
        except (YAMLError, OmegaConfBaseException) as error:
            problem = getattr(error, "problem", None) or first_line(error)
            raise ConfigError(f"--params cannot be read ({problem}); quote the value.") from error
        for value in flatten(ctx.params["params"]).values():
            if found := re.search(r";\s*(\w+(?:\.\w+)+)=", str(value)):
                raise ConfigError(f"--params has a semicolon in front of {found[1]}, but a comma separates settings.")
        return rest


@cli.command(cls=RunCommand, params=kedro_run.params, help=kedro_run.help)
@click.pass_context
def run(context: click.Context, /, runner: str | None, **_: object) -> Any:
    """Run as Kedro does, with sentences for an unknown runner and for options that exclude each other."""
    if runner:
        check_runner_name(runner)
    try:
        return context.forward(kedro_run)
    except KedroCliError as error:
        raise ConfigError(f"{error.message}.") from error


@cli.command()
@click.option("--env", "-e", help="Kedro's environment, if its mlflow.yml has another address.")
@click.option("--host", "-h", help="Address to listen on; 127.0.0.1 unless mlflow.yml has ui.host.")
@click.option("--port", "-p", help="Port to listen on; 5000 unless mlflow.yml has ui.port.")
@click.pass_obj
def ui(metadata: ProjectMetadata, env: str | None, host: str | None, port: str | None) -> None:
    """Show MLflow's browser interface, and print the addresses of its lists of runs."""
    from gan_pipelines.tracking.interface import show_interface  # noqa: PLC0415 (loads MLflow)

    asked = {name: value for name, value in {"host": host, "port": port}.items() if value}
    stated = ProjectSession.create(metadata.project_path, env=env).load_context().config_loader["mlflow"]
    show_interface(merge(stated, {"ui": asked}))


@cli.command()
@env_option
@click.argument("variant", default=DEFAULT_VARIANT)
@click.option("--version", metavar="VERSION", help="Version of the model in the catalog; the newest if left out.")
@click.option("--host", "-h", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", "-p", type=click.IntRange(1, 65535), default=5001, show_default=True, help="Port to listen on.")
@click.option("--workers", type=click.IntRange(min=1), default=1, show_default=True, help="Processes that answer.")
@click.pass_obj
def serve(
    metadata: ProjectMetadata, env: str | None, variant: str, version: str | None, host: str, port: int, workers: int
) -> None:
    """Serve the model of VARIANT that a training or an export has left in the catalog."""
    from gan_pipelines.project import service  # noqa: PLC0415 (loads PyTorch)

    catalog = _open_session(metadata, env).open_catalog({service.model_entry(variant): version} if version else None)
    service.serve(service.find_model(catalog, variant, env), host, port, workers)


@cli.command()
@click.argument("name")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--value-range", type=float, nargs=2, help="Values that become black and white, if not of 8 bits.")
@click.option("--labels", metavar="FILE", help="CSV or JSON Lines file of the labels, relative to FOLDER.")
@click.option("--label-column", default="label", show_default=True, help="Its column of the labels.")
@click.pass_obj
def experiment(
    metadata: ProjectMetadata,
    name: str,
    folder: Path,
    value_range: tuple[float, float] | None,
    labels: str | None,
    label_column: str,
) -> None:
    """Check a FOLDER of pictures and write conf/NAME, with settings to train on them.

    The pictures are in FOLDER/<class>/, or in FOLDER/<split>/<class>/ with splits named train, valid and test. Or
    metadata.csv, metadata.jsonl or another file of labels has a line for each.
    """
    from gan_pipelines.core.devices import resolve_device  # noqa: PLC0415 (loads PyTorch, as some below)
    from gan_pipelines.figures import render_dataset_page  # noqa: PLC0415
    from gan_pipelines.images import inspect_folder  # noqa: PLC0415
    from gan_pipelines.metrics.imagenet import is_installed  # noqa: PLC0415
    from gan_pipelines.project.dataset_page import make_dataset_page  # noqa: PLC0415
    from gan_pipelines.project.new_experiment import (  # noqa: PLC0415
        PAGE,
        check_name,
        check_path,
        choose_variant,
        suggest_parameters,
        write_experiment,
    )

    conf = metadata.project_path / "conf"
    check_name(name, conf)
    check_path(folder)
    has_gpu = resolve_device(_read_device(metadata)).type != "cpu"
    report = inspect_folder(folder, 64 if has_gpu else 32, value_range, labels, label_column)
    click.echo(printable("\n".join([*report.describe(), *(f"Careful: {warning}" for warning in report.warn())])))
    place = folder.absolute()
    if place.is_relative_to(metadata.project_path):
        place = place.relative_to(metadata.project_path)
    parameters = suggest_parameters(report, place.as_posix(), has_gpu, is_installed())
    page = metadata.project_path / PAGE.format(name=name)
    with atomic_write(page) as unfinished:
        unfinished.write_text(printable(render_dataset_page(make_dataset_page(name, report))), encoding="utf-8")
    write_experiment(conf, name, parameters)
    click.echo(
        f"Wrote {page.relative_to(metadata.project_path)}: the dataset with its pictures; open it in a browser.\n"
        f"Wrote conf/{name}/parameters.yml: what is trained, how long, and why. Next:\n"
        f"  kedro run --env={name} --pipelines=train_{choose_variant(report)}\n"
        f"  kedro run --env={name} --pipelines=compare\n"
        "  make ui"
    )


@cli.command(cls=RunCommand, params=[option for option in kedro_run.params if option.name == "params"])
@env_option
@click.option("--pipelines", required=True, help="Pipelines train_<variant> and augment_<variant>, with commas.")
@click.option("--seeds", help="Seeds of the trainings, 0 if left out: 0-4 or 0,2,7; augment_<variant> has its own.")
@click.option("--grid", multiple=True, metavar="SETTING=A;B", help="Values of a setting; may be given several times.")
@click.pass_obj
def sweep(
    metadata: ProjectMetadata,
    env: str | None,
    pipelines: str,
    seeds: str | None,
    grid: tuple[str, ...],
    params: dict[str, Any],
) -> None:
    """Run every combination of pipelines, seeds and settings, beside each other, and compare them.

    Finished ones are not run again, so the same command goes on where it was interrupted.
    """
    from gan_pipelines.project import sweep as sweeps  # noqa: PLC0415 (loads PyTorch)

    names = [name.strip() for name in pipelines.split(",")]
    asked = None if seeds is None else sweeps.parse_seeds(seeds)
    combinations = sweeps.combine(names, asked, sweeps.parse_grid(grid))
    sys.exit(0 if sweeps.sweep(metadata.project_path, env, combinations, params) else 1)


@cli.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.argument("reference", type=click.Path(path_type=Path))
@click.option("--extractor", default="imagenet", show_default=True, help="A feature extractor with fixed weights.")
@click.option("--weights", type=click.Path(), help="A local copy of its weights, if they are not in a package.")
@click.option("--size", type=click.IntRange(1, 4096), help="Pixels of a side; needed if pictures have several sizes.")
@click.pass_obj
def score(
    metadata: ProjectMetadata, folder: Path, reference: Path, extractor: str, weights: str | None, size: int | None
) -> None:
    """Score the pictures of FOLDER against those of REFERENCE: FID, KID, precision, recall and others.

    Both hold pictures, or folders of pictures named by class; these are scored one by one as well.
    """
    from gan_pipelines.metrics import ScoringConfig  # noqa: PLC0415 (loads PyTorch, as all below)
    from gan_pipelines.metrics.config import WITHOUT_FILE  # noqa: PLC0415
    from gan_pipelines.metrics.extractors import PRETRAINED  # noqa: PLC0415
    from gan_pipelines.project.folder_scores import describe_scores, score_folder  # noqa: PLC0415

    require(extractor in PRETRAINED, "--extractor", extractor, f"one of {', '.join(PRETRAINED)}")
    has_file = weights is None or extractor not in WITHOUT_FILE
    require(has_file, "--weights", weights, f"left out for {extractor}, whose weights are those of its package")
    scoring = parse(ScoringConfig, {"extractor": extractor, "extractor_weights": weights}, "scoring")
    device, catalog = _read_device(metadata), _open_session(metadata).open_catalog()
    stores = catalog.load("image_sets"), catalog.load("references")
    click.echo("\n".join(describe_scores(score_folder(folder, reference, scoring, *stores, size, device))))


@cli.command()
@env_option
@click.option("--older-than", type=click.FloatRange(min=0), metavar="DAYS", help="Also what was not used for so long.")
@click.option("--delete", is_flag=True, help="Delete it. Without, this is a dry run.")
@click.pass_obj
def prune(metadata: ProjectMetadata, env: str | None, older_than: float | None, delete: bool) -> None:
    """List what of an experiment can be deleted: versions, checkpoints, entries of stores, and MLflow runs.

    It is what nothing refers to, since its MLflow run was deleted or its process was killed. The best and the newest
    run of each recipe stay, and what a run at work may be using.
    """
    from gan_pipelines.project.pruning import prune as prune_experiment  # noqa: PLC0415 (loads PyTorch and MLflow)

    session = ProjectSession.create(metadata.project_path, env=env)
    prune_experiment(session.load_context(), older_than, is_dry=not delete)


@cli.command()
@env_option
@click.argument("run_id", metavar="RUN")
@click.pass_obj
def reproduce(metadata: ProjectMetadata, env: str | None, run_id: str) -> None:
    """Run again what the MLflow run with the id RUN did, from the beginning, and say which metrics differ.

    It is run in its own environment; --env is for an MLflow that another environment names.
    """
    from gan_pipelines.project.reproduction import reproduce as run_again  # noqa: PLC0415 (loads PyTorch)

    run_again(metadata.project_path, run_id, env)


def _open_session(metadata: ProjectMetadata, env: str | None = None) -> ProjectSession:
    session = ProjectSession.create(metadata.project_path, env=env)
    assert isinstance(session, ProjectSession)  # Kedro types it as its own
    return session


def _read_device(metadata: ProjectMetadata) -> DeviceName:
    """The device of runs without an environment. Raises a `ConfigError` if this machine has none of that name."""
    from gan_pipelines.core.devices import resolve_device  # noqa: PLC0415 (loads PyTorch)

    conf = str(metadata.project_path / settings.CONF_SOURCE)
    parameters = settings.CONFIG_LOADER_CLASS(conf, **settings.CONFIG_LOADER_ARGS)["parameters"]
    device = parse(RuntimeConfig, parameters["runtime"], "runtime").device
    with naming("runtime"):
        resolve_device(device)
    return device
