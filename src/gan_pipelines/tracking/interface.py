"""MLflow's browser interface, for the store of the runs."""

from __future__ import annotations

import subprocess
import sys
import webbrowser
from collections.abc import Mapping
from typing import Any

import mlflow

from gan_pipelines.tracking.address import find_interface, is_server
from gan_pipelines.tracking.remedies import require_mlflow
from gan_pipelines.tracking.views import list_addresses


def show_interface(settings: Mapping[str, Any]) -> int:
    """Print the addresses of the lists of runs, and serve them until Ctrl-C; those of a server open in a browser.

    Args:
        settings: kedro-mlflow's settings, from `complete_settings`.

    Returns:
        the exit code of MLflow.

    Raises:
        TrackingUnavailable: if MLflow does not answer.
    """
    store, interface = settings["server"]["mlflow_tracking_uri"], find_interface(settings)
    with require_mlflow(store):
        addresses = dict(list_addresses(mlflow.MlflowClient(store), interface))
    for name, address in addresses.items():
        print(f"Runs of {name}: {address}", flush=True)
    if is_server(store):
        webbrowser.open(next(iter(addresses.values()), interface))
        return 0
    options = {"--backend-store-uri": store, "--host": settings["ui"]["host"], "--port": settings["ui"]["port"]}
    words = [str(word) for option in options.items() for word in option]
    return subprocess.call([sys.executable, "-m", "mlflow", "ui", *words])
