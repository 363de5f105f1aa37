"""A generator as a service on this machine: MLflow's server, with a model of the catalog."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from kedro.framework.project import pipelines
from kedro.io import DataCatalog

from gan_pipelines.core.config import ConfigError, suggest
from gan_pipelines.gan.variants import VARIANTS
from gan_pipelines.project.preflight import check_entries

EXAMPLE = "serving_input_example.json"
"""File of a model with an example of a request."""
ENVIRONMENT_MANAGER = "local"
"""MLflow's name for the environment of this process, which has all that a model needs."""


def find_model(catalog: DataCatalog, variant: str, env: str | None = None) -> Path:
    """Find the folder of a variant's model in the catalog.

    Args:
        catalog: with the version that is asked for; without one, it is the newest.
        variant: name of the variant.
        env: Kedro's environment, for the command that a sentence names.

    Raises:
        ConfigError: if there is no such variant, or no such model.
    """
    if variant not in VARIANTS:
        raise ConfigError(f"{variant} is not a variant; {suggest(variant, list(VARIANTS))}")
    name = model_entry(variant)
    check_entries({name}, catalog, pipelines, f"kedro run --env={env}" if env else "kedro run")
    dataset: Any = catalog[name]
    return Path(dataset._get_load_path()).absolute()


def model_entry(variant: str) -> str:
    """Name of the catalog entry with the model of a variant."""
    return f"{variant}.model"


def serve(model: Path, host: str, port: int, workers: int) -> NoReturn:
    """Become MLflow's server: what ends this process ends it.

    Args:
        model: folder of the model.
        host: address to listen on.
        port: port to listen on.
        workers: number of processes that answer.
    """
    example = json.dumps(json.loads((model / EXAMPLE).read_text()))
    print(
        f"Serving {model}\n"
        f"  curl http://{host}:{port}/invocations -H 'Content-Type: application/json' -d {shlex.quote(example)}",
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
