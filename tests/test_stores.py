from __future__ import annotations

import pytest

from gan_pipelines.stores import KeyedStore


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
    assert list(tmp_path.iterdir()) == []
    assert store.get_or_build("key", write("whole")).exists()


def test_of_two_builders_the_first_to_finish_wins(tmp_path):
    store = KeyedStore(tmp_path)

    def slow(folder):
        KeyedStore(tmp_path).get_or_build("key", write("fast"))
        write("slow")(folder)

    entry = store.get_or_build("key", slow)
    assert (entry / "entry.txt").read_text() == "fast"
    assert [path.name for path in tmp_path.iterdir()] == ["key"]
