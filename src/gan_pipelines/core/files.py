"""Atomic writing of files and folders, and locks between processes."""

from __future__ import annotations

import errno
import logging
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import AcquireReturnProxy, FileLock, Timeout

from gan_pipelines.core.errors import ProjectError

logger = logging.getLogger(__name__)

UNFINISHED = ".unfinished-"
"""Prefix of the name of what is half written."""
DELETED = ".deleted-"
"""Prefix of the name of what is half deleted."""
DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS)
SHORT_WRITE = re.compile(r"\d+ requested and \d+ written")
"""What NumPy says, without a number, where the disk ends in the midst of an array."""
ERROR_NUMBER = re.compile(r"\(os error (\d+)\)")
"""How safetensors, which is written in Rust, names the number of an error."""


def folder_name(class_name: str) -> str:
    """The name of a class as that of a folder: a slash, as in T-shirt/top, becomes a hyphen.

    A generator's file may come from somebody else: a class called ``..`` must not lead out of a folder.
    """
    return f"_{class_name}" if class_name in ("", ".", "..") else class_name.replace("/", "-")


@contextmanager
def atomic_write(target: Path) -> Iterator[Path]:
    """Yield a temporary path for a file or a folder, and rename it to ``target`` at the end of the block.

    After an exception or a kill, ``target`` is the old file or the new one. A folder that is replaced may be missing
    after a kill between removal and renaming. Only one process at a time may write a target. The next write removes the
    temporary files of a killed one.

    Raises:
        OSError: if the disk cannot be written; disk errors that a library wrapped are raised as OSError too.
    """
    unfinished = target.with_name(f"{UNFINISHED}{target.name}")
    unfinished.parent.mkdir(parents=True, exist_ok=True)
    _remove(unfinished)
    try:
        yield unfinished
        if unfinished.is_file():
            unfinished.chmod(0o666 & ~_umask())  # safetensors sets permissions for the owner alone
            with unfinished.open("rb") as file:
                os.fsync(file.fileno())
        if target.is_dir():
            _remove(target)
        unfinished.replace(target)
    except Exception as error:
        number = _error_number(error)
        if number is None or (isinstance(error, OSError) and error.errno is not None):
            raise
        raise OSError(number, os.strerror(number), str(target)) from error
    finally:
        _remove(unfinished)


def delete(target: Path) -> None:
    """Delete a file or a folder: after an exception or a kill, ``target`` is complete or absent.

    What a killed process has not deleted yet has a name that begins with `DELETED`.
    """
    deleted = target if target.name.startswith(DELETED) else target.with_name(f"{DELETED}{target.name}")
    if deleted != target:
        _remove(deleted)
        target.rename(deleted)
    _remove(deleted)


def count_bytes(path: Path) -> int:
    """Bytes of a file, or of all files in a folder; 0 if there is none."""
    if path.is_dir() and not path.is_symlink():
        return sum(file.lstat().st_size for file in path.rglob("*") if not file.is_dir())
    return path.lstat().st_size if path.exists() else 0


def acquire(path: Path, work: str) -> AcquireReturnProxy[Any]:
    """Lock a file, which appears, against other processes; log whom it waits for.

    Args:
        path: the file.
        work: what the lock is for, as in "building the same entry".
    """
    lock = FileLock(path)
    try:
        return lock.acquire(blocking=False)
    except Timeout:
        logger.info("Waiting for another process that is %s (%s)", work, path)
        return lock.acquire()


def _error_number(error: BaseException) -> int | None:
    """The error number of a disk error behind an exception, or None; libraries wrap it in exceptions of their own.

    An error that is a sentence already has its cause in it, which may be another disk, that was read from.
    """
    if isinstance(error, ProjectError):
        return None
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno if error.errno in DISK_ERRORS else None
    if SHORT_WRITE.fullmatch(str(error)):
        return errno.ENOSPC
    if (named := ERROR_NUMBER.search(str(error))) and int(named[1]) in DISK_ERRORS:
        return int(named[1])
    return None if error.__context__ is None else _error_number(error.__context__)


def _umask() -> int:
    umask = os.umask(0)
    os.umask(umask)
    return umask


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
