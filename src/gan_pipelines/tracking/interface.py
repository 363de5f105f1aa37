"""MLflow's browser interface, for the store of the runs."""

from __future__ import annotations

import os
import sys
import webbrowser
from collections.abc import Mapping
from typing import Any

import mlflow

from gan_pipelines.tracking.address import find_interface, is_server
from gan_pipelines.tracking.remedies import require_mlflow
from gan_pipelines.tracking.views import list_addresses


def show_interface(settings: Mapping[str, Any]) -> None:
    """Print the addresses of the lists of runs, and become MLflow's interface, or open that of a server in a browser.

    What ends this process ends the interface.

    Args:
        settings: kedro-mlflow's settings, from `complete_settings`.

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
        return
    options = {"--backend-store-uri": store, "--host": settings["ui"]["host"], "--port": settings["ui"]["port"]}
    words = [str(word) for option in options.items() for word in option]
    os.execv(sys.executable, [sys.executable, "-m", "mlflow", "ui", *words])
