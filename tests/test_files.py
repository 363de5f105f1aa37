from __future__ import annotations

import errno
import stat
from collections import namedtuple

import pytest

from gan_pipelines import files
from gan_pipelines.files import replacing


@pytest.mark.parametrize("is_new", [True, False])
def test_a_folder_takes_the_place_of_what_was_there(tmp_path, is_new):
    target = tmp_path / "deep/target"
    if not is_new:
        target.mkdir(parents=True)
        (target / "old.txt").write_text("old")
    with replacing(target) as unfinished:
        unfinished.mkdir()
        (unfinished / "new.txt").write_text("new")
        assert target.exists() != is_new
    assert [path.name for path in target.iterdir()] == ["new.txt"]
    assert list(target.parent.iterdir()) == [target]


def test_a_file_takes_the_place_of_what_was_there(tmp_path):
    (tmp_path / "target").write_text("old")
    with replacing(tmp_path / "target") as unfinished:
        unfinished.write_text("new")
        assert (tmp_path / "target").read_text() == "old"
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("target", "new")]


def test_a_file_may_be_read_by_all(tmp_path):
    with replacing(tmp_path / "file") as unfinished:
        unfinished.touch(mode=0o600)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o644


def test_an_exception_leaves_what_was_there(tmp_path):
    target = tmp_path / "target"
    target.write_text("old")
    with pytest.raises(ZeroDivisionError), replacing(target) as unfinished:
        unfinished.write_text("half")
        1 / 0  # noqa: B018
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("target", "old")]


def test_what_a_killed_process_left_is_in_nobodys_way(tmp_path):
    (tmp_path / ".unfinished-target").mkdir()
    (tmp_path / ".unfinished-target/half").touch()
    with replacing(tmp_path / "target") as unfinished:
        unfinished.write_text("new")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("target", "new")]


Usage = namedtuple("Usage", "total used free")


@pytest.mark.parametrize(
    ("error", "free", "is_full"),
    [
        (RuntimeError("I/O error: No space left on device (os error 28)"), 2**30, True),
        (RuntimeError("writing failed"), 100, True),
        (RuntimeError("writing failed"), 2**30, False),
        (OSError(errno.ENOSPC, "No space left on device"), 100, True),
        (OSError(errno.EACCES, "Permission denied"), 100, False),
    ],
)
def test_a_full_disk_is_told_whatever_a_library_calls_it(tmp_path, monkeypatch, error, free, is_full):
    monkeypatch.setattr(files.shutil, "disk_usage", lambda _: Usage(2**31, 2**31 - free, free))
    with pytest.raises(OSError if is_full else type(error)) as caught, replacing(tmp_path / "target"):
        raise error
    if is_full:
        assert caught.value.errno == errno.ENOSPC
        assert caught.value.filename == str(tmp_path / "target")
