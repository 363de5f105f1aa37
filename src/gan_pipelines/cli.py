"""The project's own command, ``kedro experiment``."""

from __future__ import annotations

import os
from pathlib import Path

import click
from kedro.framework.startup import ProjectMetadata

from gan_pipelines.core.config import parse
from gan_pipelines.project.hooks import install_excepthook
from gan_pipelines.project.parameters import RuntimeConfig


@click.group(name="gan_pipelines")
def cli() -> None:
    """Commands of the project."""


@cli.command()
@click.argument("name")
@click.argument("folder", type=click.Path(path_type=Path))
@click.pass_obj
def experiment(metadata: ProjectMetadata, name: str, folder: Path) -> None:
    """Check a FOLDER of pictures and write conf/NAME, with settings to train on them.

    The pictures are in FOLDER/<class>/, or in FOLDER/<split>/<class>/ with splits named train, valid and test.
    """
    from gan_pipelines.core.devices import resolve_device  # noqa: PLC0415 (PyTorch: not for other commands)
    from gan_pipelines.images import inspect_folder  # noqa: PLC0415
    from gan_pipelines.project.new_experiment import (  # noqa: PLC0415
        check_name,
        check_path,
        choose_variant,
        suggest_parameters,
        write_experiment,
    )

    install_excepthook()
    conf = metadata.project_path / "conf"
    check_name(name, conf)
    check_path(folder)
    runtime = parse(RuntimeConfig, {"device": os.environ.get("GAN_PIPELINES_DEVICE", "auto")}, "runtime")
    has_gpu = resolve_device(runtime.device).type != "cpu"
    report = inspect_folder(folder, largest_size=64 if has_gpu else 32)
    click.echo("\n".join([*report.describe(), *(f"Careful: {warning}" for warning in report.warn())]))
    place = folder.absolute()
    if place.is_relative_to(metadata.project_path):
        place = place.relative_to(metadata.project_path)
    write_experiment(conf, name, suggest_parameters(report, place.as_posix(), has_gpu))
    click.echo(
        f"Wrote conf/{name}/parameters.yml: what is trained, how long, and why. Next:\n"
        f"  kedro run --env={name} --pipelines=train_{choose_variant(report)}\n"
        f"  kedro run --env={name} --pipelines=compare\n"
        "  make ui"
    )
