"""A generator as a service on this machine: MLflow's server, with a model of the catalog."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from kedro.framework.project import pipelines

from gan_pipelines.core.config import ConfigError, suggest
from gan_pipelines.gan.variants import VARIANTS
from gan_pipelines.project.preflight import check_entries

ENVIRONMENT_MANAGER = "local"
"""MLflow's name for the environment of this process, which has all that a model needs."""


def find_model(context: Any, variant: str, version: str | None) -> Path:
    """Find the folder of a model in the catalog.

    Args:
        context: Kedro's.
        variant: name of the variant.
        version: version of the model, or None for the newest.

    Raises:
        ConfigError: if there is no such variant, or no such model.
    """
    if variant not in VARIANTS:
        raise ConfigError(f"{variant} is not a variant; {suggest(variant, list(VARIANTS))}")
    name = f"{variant}.model"
    catalog = context._get_catalog(load_versions={name: version} if version else None)
    check_entries({name}, catalog, pipelines, f"kedro run --env={context.env}" if context.env else "kedro run")
    return Path(catalog[name]._get_load_path()).absolute()


def serve(model: Path, host: str, port: int, workers: int) -> NoReturn:
    """Become MLflow's server: what ends this process ends it.

    Args:
        model: folder of the model.
        host: address to listen on.
        port: port to listen on.
        workers: number of processes that answer.
    """
    print(
        f"Serving {model}\n"
        f"  curl http://{host}:{port}/invocations -H 'Content-Type: application/json' "
        """-d '{"inputs": [{"count": 1}]}'""",
        flush=True,
    )
    options = {"--host": host, "--port": port, "--workers": workers, "--env-manager": ENVIRONMENT_MANAGER}
    words = [str(word) for option in options.items() for word in option]
    command = [sys.executable, "-m", "mlflow", "models", "serve", "--model-uri", str(model), *words]
    os.execve(sys.executable, command, _make_environment(os.environ))


def _make_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """MLflow starts a bare "uvicorn", which is beside this Python; nothing in a model may be unpickled."""
    path = os.pathsep.join([str(Path(sys.executable).parent), environment.get("PATH", "")])
    return {**environment, "PATH": path, "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false"}
