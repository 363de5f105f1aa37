"""Set-up of MLflow's store by one run at a time."""

from __future__ import annotations

import logging
import shlex
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from gan_pipelines.core.files import acquire, atomic_write
from gan_pipelines.tracking.address import find_database, write_address
from gan_pipelines.tracking.errors import ELSEWHERE, TrackingUnavailable

if TYPE_CHECKING:
    from alembic.script import ScriptDirectory

logger = logging.getLogger(__name__)

BRIEF_SECONDS = 2.0
"""Time after which a run says that it waits for a locked database."""
PATIENCE_SECONDS = 90.0
"""Maximum time for which a run waits at its start for a database that another program has locked."""
PRIMARY = 0xFF
"""Mask of SQLite's error codes, without what distinguishes cases of one kind."""


@contextmanager
def set_up_alone(address: str, folder: Path) -> Iterator[None]:
    """Let one run at a time create MLflow's database, and then experiments in it.

    A new database is complete or absent, even if the process is killed.

    Args:
        address: address of the store.
        folder: folder of the project for MLflow.

    Raises:
        sqlite3.Error: if the database cannot be read and written.
        TrackingUnavailable: if it has another schema than this MLflow, or a package is missing that the address needs.
    """
    database = find_database(address)
    guarded = database or folder / "store"
    guarded.parent.mkdir(parents=True, exist_ok=True)
    await_database(address)
    with acquire(guarded.with_name(f".{guarded.name}.lock"), "setting up MLflow"):
        if database and database.exists():
            _check_schema(database, address)
        elif database:
            _create(database)
        try:
            yield
        except ModuleNotFoundError as error:  # the driver of a database server
            raise TrackingUnavailable(
                f"MLflow's address needs the Python package {error.name}; install it, or {ELSEWHERE}."
            ) from error


def await_database(address: str) -> None:
    """Wait until a database in a file can be written to. Raises `sqlite3.Error` if it cannot, or not soon enough."""
    database = find_database(address)
    if database is None or not database.exists():
        return
    try:
        _try_writing(database, BRIEF_SECONDS)
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & PRIMARY != sqlite3.SQLITE_BUSY:
            raise
        logger.info("Waiting for another program that has locked %s", database)
        _try_writing(database, PATIENCE_SECONDS)


def _try_writing(database: Path, seconds: float) -> None:
    with closing(sqlite3.connect(database, timeout=seconds, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("PRAGMA user_version = 1")  # only a change shows that file and folder may be written
        connection.execute("ROLLBACK")


def _check_schema(database: Path, address: str) -> None:
    """Raise a `TrackingUnavailable` unless a database has the schema of this MLflow, or is empty.

    MLflow itself adds missing tables to any database, and migrates an older one without a copy.
    """
    with closing(sqlite3.connect(database)) as connection:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if not tables:
            return
        if "alembic_version" not in tables:
            raise TrackingUnavailable(
                f"{database} holds no runs of MLflow, but tables of another program; {ELSEWHERE}."
            )
        found = {revision for (revision,) in connection.execute("SELECT version_num FROM alembic_version")}
    revisions = _open_migrations()
    if found == set(revisions.get_heads()):
        return
    if found <= {each.revision for each in revisions.walk_revisions()}:
        raise TrackingUnavailable(
            f"MLflow's database {database} was made by an older MLflow; copy it, then run: mlflow db upgrade "
            f"{shlex.quote(address)}"
        )
    raise TrackingUnavailable(
        f"MLflow's database {database} was made by a newer MLflow; install that one (pip install --upgrade mlflow), or "
        f"{ELSEWHERE}."
    )


def _open_migrations() -> ScriptDirectory:
    """The revisions of the schema that this MLflow knows."""
    import mlflow.store  # noqa: PLC0415 (takes seconds to load)
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    return ScriptDirectory(Path(mlflow.store.__path__[0]) / "db_migrations")


def _create(database: Path) -> None:
    """Make a database with MLflow's tables."""
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore  # noqa: PLC0415 (takes seconds to load)

    with atomic_write(database) as unfinished:
        _try_writing(unfinished, BRIEF_SECONDS)  # MLflow would try for minutes where a file cannot be opened
        store = SqlAlchemyStore(write_address(unfinished), (database.parent / "artifacts").absolute().as_uri())
        store.engine.dispose()
