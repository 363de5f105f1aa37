"""Errors of MLflow: which ones come from it, and which ones pass."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import lazy_loader

mlflow = lazy_loader.load("mlflow")

STORE_MODULES = ("mlflow", "requests", "sqlalchemy", "sqlite3")
"""Packages whose exceptions come from MLflow or from the access to its store."""


def comes_from_mlflow(error: BaseException) -> bool:
    """Whether MLflow or the access to its store raised an exception."""
    return type(error).__module__.split(".")[0] in STORE_MODULES


def is_outage(error: BaseException) -> bool:
    """Whether a call may succeed later: the store does not answer, is busy, or failed internally."""
    if isinstance(error, mlflow.exceptions.MlflowException):
        return bool(error.get_http_status_code() >= 500 or error.get_http_status_code() == 429)
    return isinstance(error, ConnectionError | TimeoutError) or type(error).__module__.startswith("requests.")


@contextmanager
def tolerate_mlflow() -> Iterator[None]:
    """Suppress exceptions that come from MLflow."""
    try:
        yield
    except Exception as error:
        if not comes_from_mlflow(error):
            raise
