"""Errors of MLflow: which ones come from it, and which ones pass."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

STORE_MODULES = ("mlflow", "requests", "sqlalchemy", "sqlite3")
"""Packages whose exceptions come from MLflow or from the access to its store."""


def comes_from_mlflow(error: BaseException) -> bool:
    """Whether MLflow or the access to its store raised an exception."""
    return type(error).__module__.split(".")[0] in STORE_MODULES


def is_outage(error: BaseException) -> bool:
    """Whether a call may succeed later: the store does not answer, is busy, or failed internally."""
    if (status := get_status(error)) is not None:
        return status >= 500 or status == 429
    return isinstance(error, ConnectionError | TimeoutError) or type(error).__module__.startswith("requests.")


def get_status(error: BaseException) -> int | None:
    """The HTTP status that MLflow gives to one of its exceptions, or None for any other exception."""
    from mlflow.exceptions import MlflowException  # noqa: PLC0415 (takes seconds to load)

    return int(error.get_http_status_code()) if isinstance(error, MlflowException) else None


@contextmanager
def tolerate_mlflow() -> Iterator[None]:
    """Suppress exceptions that come from MLflow."""
    try:
        yield
    except Exception as error:
        if not comes_from_mlflow(error):
            raise
