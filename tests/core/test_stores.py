from __future__ import annotations

import logging
import os
import subprocess
import sys

import pytest

from gan_pipelines.core.stores import KeyedStore


def visible(folder):
    return [path for path in folder.iterdir() if not path.name.startswith(".")]


def write(text):
    return lambda folder: (folder / "entry.txt").write_text(text)


def test_an_entry_is_built_once(tmp_path):
    store = KeyedStore(tmp_path / "store")
    first = store.get_or_build("key", write("one"))
    second = store.get_or_build("key", write("two"))
    assert first == second == tmp_path / "store" / "key"
    assert (second / "entry.txt").read_text() == "one"


def test_a_build_that_fails_leaves_nothing(tmp_path):
    def fail(folder):
        (folder / "half.txt").write_text("half")
        raise OSError("disk full")

    store = KeyedStore(tmp_path)
    with pytest.raises(OSError, match="disk full"):
        store.get_or_build("key", fail)
    assert visible(tmp_path) == []
    assert store.get_or_build("key", write("whole")).exists()


BUILDER = """
import sys, time
from pathlib import Path
from gan_pipelines.core.stores import KeyedStore

def build(folder):
    (folder / "entry.txt").write_text("sl")
    print("building", flush=True)
    time.sleep(float(sys.argv[2]))
    (folder / "entry.txt").write_text("slow")

KeyedStore(Path(sys.argv[1])).get_or_build("key", build)
"""


@pytest.fixture
def other_process(tmp_path):
    """Start another process that builds the same entry, and wait until it is at it."""

    def start(seconds):
        command = [sys.executable, "-c", BUILDER, str(tmp_path), str(seconds)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout.readline() == "building\n"
        return process

    return start


def test_of_two_builders_the_second_waits_and_builds_nothing(tmp_path, other_process, caplog):
    with other_process(seconds=0.5), caplog.at_level(logging.INFO):
        entry = KeyedStore(tmp_path).get_or_build("key", lambda _: pytest.fail("built twice"))
        assert (entry / "entry.txt").read_text() == "slow"
    assert "Waiting for another process" in caplog.text


def test_what_a_killed_builder_leaves_is_no_entry_and_goes(tmp_path, other_process):
    with other_process(seconds=60) as process:
        process.kill()
    assert len(list(tmp_path.iterdir())) == 2  # the lock and the half
    entry = KeyedStore(tmp_path).get_or_build("key", write("whole"))
    assert (entry / "entry.txt").read_text() == "whole"
    assert sorted(path.name for path in tmp_path.iterdir()) == [".key.lock", "key"]


def test_an_entry_is_deleted_unless_it_has_been_used_since(tmp_path):
    store = KeyedStore(tmp_path)
    entry = store.get_or_build("key", write("one"))
    os.utime(entry, (100, 100))
    assert store.last_used("key") == 100
    assert not store.discard("key", unused_since=100)
    assert store.get_or_build("key", write("two")) == entry
    assert store.last_used("key") > 100
    os.utime(entry, (100, 100))
    assert store.discard("key", unused_since=101)
    assert not store.discard("key", unused_since=101)
    assert visible(tmp_path) == store.list_keys() == []
    assert (store.get_or_build("key", write("three")) / "entry.txt").read_text() == "three"
