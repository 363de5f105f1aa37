"""What to do about an MLflow that cannot be used: one sentence for each reason."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gan_pipelines.core.errors import first_line, hide_passwords
from gan_pipelines.tracking.address import find_database
from gan_pipelines.tracking.database import PRIMARY
from gan_pipelines.tracking.errors import ELSEWHERE, TrackingUnavailable
from gan_pipelines.tracking.outages import comes_from_mlflow, get_status, is_outage

MAX_PATH_BYTES = 490
"""Maximum length of a database's path: SQLite allows 511 bytes, and names of temporary files beside it are longer."""

BY_CODE = {
    sqlite3.SQLITE_BUSY: "stays locked by another program; end that one",
    sqlite3.SQLITE_NOTADB: "is no SQLite database; move it away, and the next run makes a new one",
    sqlite3.SQLITE_CORRUPT: "is damaged; put back a copy, or move it away, and the next run makes a new one",
    sqlite3.SQLITE_FULL: "cannot grow, the disk is full; free some space",
    sqlite3.SQLITE_READONLY: "may not be written; change its permissions, and those of its folder",
    sqlite3.SQLITE_CANTOPEN: "may not be opened; change its permissions, and those of its folder",
}
"""Problem and remedy by SQLite's primary error code."""


@contextmanager
def require_mlflow(address: str) -> Iterator[None]:
    """Raise a `TrackingUnavailable` with a remedy instead of an exception that comes from MLflow or from its store."""
    try:
        yield
    except Exception as error:
        if not comes_from_mlflow(error):
            raise
        raise TrackingUnavailable(explain(error, address)) from error


def explain(error: BaseException, address: str) -> str:
    """What is wrong with MLflow's store at an address, and what to do, in one sentence."""
    database = find_database(address)
    if database is None:
        return _explain_server(error, hide_passwords(address))
    cause = _find_cause(error)
    if cause is None:
        return f"MLflow refuses to work with its database {database} ({first_line(error)}); {ELSEWHERE}."
    return f"MLflow's database {database} {_explain_file(cause, database)}."


def _explain_server(error: BaseException, address: str) -> str:
    if is_outage(error):
        return f"MLflow at {address} does not answer ({first_line(error)}); start its server, or {ELSEWHERE}."
    if get_status(error) in (401, 403):
        return (
            f"MLflow at {address} refuses this user ({first_line(error)}); set MLFLOW_TRACKING_USERNAME and "
            "MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN."
        )
    return f"{address} cannot be used as MLflow's address ({first_line(error)}); {ELSEWHERE}."


def _explain_file(error: sqlite3.Error, database: Path) -> str:
    if database.is_dir():
        return f"is a folder; {ELSEWHERE}"
    length = len(bytes(database))
    if length > MAX_PATH_BYTES:
        return f"has a path of {length} bytes, and SQLite allows {MAX_PATH_BYTES}; move the project, or {ELSEWHERE}"
    return BY_CODE.get(
        error.sqlite_errorcode & PRIMARY, f"cannot be used ({first_line(error)}); put back a copy, or move it away"
    )


def _find_cause(error: BaseException | None) -> sqlite3.Error | None:
    """The error of SQLite behind an exception."""
    while error is not None and not (isinstance(error, sqlite3.Error) and hasattr(error, "sqlite_errorcode")):
        error = error.__cause__ or error.__context__
    return error
