from __future__ import annotations

import copy
import pickle
from dataclasses import FrozenInstanceError, asdict, replace
from typing import Literal

import pytest

from gan_pipelines.core.config import (
    ConfigError,
    Count,
    Numbers,
    Positive,
    Share,
    Switch,
    Texts,
    config,
    flatten,
    merge,
    naming,
    parse,
    require,
)


@config
class Inner:
    rate: Positive = 0.5
    pair: Numbers = (0.0, 1.0)
    share: Share = 0.0
    words: Texts = ()

    def __post_init__(self) -> None:
        require(len(self.pair) < 3, "pair", self.pair, "two numbers")


@config
class Outer:
    size: Count
    kind: Literal["a", "b"] = "a"
    inner: Inner = Inner()
    maybe: Inner | None = None
    flag: Switch = False
    name: str = ""


def test_plain_values_become_nested_dataclasses_and_back():
    built = parse(Outer, {"size": 3, "inner": {"rate": 1, "pair": [0, 0.9]}, "maybe": None, "kind": "b"}, "top")
    assert built == Outer(size=3, kind="b", inner=Inner(rate=1.0, pair=(0.0, 0.9)))
    assert isinstance(built.inner.rate, float)
    assert parse(Outer, asdict(built), "top") == built


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"size": "3"}, "top.size is '3', but must be a whole number."),
        ({"size": 3.5}, "top.size is 3.5, but must be a whole number."),
        ({"size": True}, "top.size is True, but must be a whole number."),
        ({"size": 1, "flag": 1}, "top.flag is 1, but must be true or false."),
        ({"size": 1, "name": 1}, "top.name is 1, but must be a text."),
        ({"size": 1, "kind": "c"}, "top.kind is 'c', but must be one of a, b."),
        ({"size": 1, "inner": {"rate": "fast"}}, "top.inner.rate is 'fast', but must be a number."),
        ({"size": "one"}, "top.size is 'one', but must be a whole number."),
        ({"size": 3.0}, "top.size is 3.0, but must be a whole number."),
        ({"size": 0}, "top.size is 0, but must be 1 or more."),
        ({"size": 1, "inner": {"rate": True}}, "top.inner.rate is True, but must be a number."),
        ({"size": 1, "inner": {"rate": -1}}, "top.inner.rate is -1, but must be greater than 0."),
        ({"size": 1, "maybe": {"rate": -1}}, "top.maybe.rate is -1, but must be greater than 0."),
        ({"size": 1, "inner": {"share": 1}}, "top.inner.share is 1, but must be below 1."),
        ({"size": 1, "inner": {"rate": float("nan")}}, "top.inner.rate is nan, but must be a finite number."),
        ({"size": 1, "inner": {"pair": [1, 2, 3]}}, "top.inner.pair is (1.0, 2.0, 3.0), but must be two numbers."),
        ({"size": 1, "inner": {"words": 5}}, "top.inner.words is 5, but must be a list."),
        ({"size": 1, "inner": 5}, "top.inner is 5, but must be a mapping of settings."),
        ({"sise": 1}, "top.sise is not a setting; did you mean size?"),
        ({"zzz": 1}, "top.zzz is not a setting; known are flag, inner, kind, maybe, name, size"),
        ({"size": 1, "inner": {"": 1}}, "top.inner has a setting without a name; known are pair, rate, share, words"),
        ({"size": 1, "inner": {"rates": 1}}, "top.inner.rates is not a setting; did you mean rate?"),
        ({"size": 1, "maybe": {"rates": 1}}, "top.maybe.rates is not a setting; did you mean rate?"),
        ({"sise": 1, "kind": "c"}, "top.sise is not a setting; did you mean size?"),
        (None, "top is None, but must be a mapping of settings."),
        ({}, "top.size is missing."),
    ],
)
def test_bad_values_are_named_with_their_path(values, message):
    with pytest.raises(ConfigError) as caught:
        parse(Outer, values, "top")
    assert str(caught.value) == message


def test_a_list_may_come_as_the_command_line_gives_it():
    assert parse(Outer, {"size": 1, "inner": {"pair": "0.25; 1"}}, "top").inner.pair == (0.25, 1.0)
    assert parse(Outer, {"size": 1, "inner": {"words": "a; 3"}}, "top").inner.words == ("a", "3")
    assert [Inner(pair=alone).pair for alone in (0.5, "0.5", [0.5], 1)] == [(0.5,), (0.5,), (0.5,), (1,)]
    with pytest.raises(ConfigError, match=r"^pair is True, but must be a list\.$"):
        Inner(pair=True)
    with pytest.raises(ConfigError, match=r"^top.inner.pair is '0.25', but must be a number\.$"):
        parse(Outer, {"size": 1, "inner": {"pair": "0.25;half"}}, "top")


def test_a_configuration_built_in_python_is_checked_too():
    with pytest.raises(ConfigError, match=r"^inner.rate is 0, but must be greater than 0\.$"):
        Outer(size=1, inner={"rate": 0})
    with pytest.raises(ConfigError, match=r"^size is 0, but must be 1 or more\.$"):
        replace(Outer(size=1), size=0)
    with pytest.raises(ConfigError, match=r"^sise is not a setting; did you mean size\?$"):
        Outer(size=1, sise=2)


def test_a_configuration_is_frozen_and_can_be_copied_pickled_and_hashed():
    outer = Outer(size=1, inner=Inner(rate=2))
    with pytest.raises(FrozenInstanceError):
        outer.size = 2
    for twin in (copy.deepcopy(outer), pickle.loads(pickle.dumps(outer))):
        assert twin == outer
        assert hash(twin) == hash(outer)


def test_an_error_knows_the_path_of_its_setting():
    with pytest.raises(ConfigError) as caught:
        parse(Outer, {"size": 1, "inner": {"rate": 0}}, "top")
    assert (caught.value.path, caught.value.problem) == ("top.inner.rate", "is 0, but must be greater than 0.")
    with pytest.raises(ConfigError, match="^runtime.device is 'gpu', but must be one of cpu"), naming("runtime"):
        require(False, "device", "gpu", "one of cpu")
    with pytest.raises(ConfigError, match="^There is no such thing"), naming("runtime"):
        raise ConfigError("There is no such thing.")


def test_merge_goes_mapping_by_mapping():
    base = {"a": {"x": 1, "y": 2}, "b": {"z": 3}, "c": 4}
    assert merge(base, {"a": {"y": 5}, "b": None, "d": 6}) == {"a": {"x": 1, "y": 5}, "b": None, "c": 4, "d": 6}
    assert base == {"a": {"x": 1, "y": 2}, "b": {"z": 3}, "c": 4}


def test_flatten():
    assert flatten({"a": {"b": {"c": 1}, "d": None}, "e": (2, 3)}) == {"a.b.c": 1, "a.d": None, "e": (2, 3)}
    lists = {"a": [{"b": 1}, {"b": 2, "c": [{"d": 3}]}], "e": []}
    assert flatten(lists) == {"a.0.b": 1, "a.1.b": 2, "a.1.c.0.d": 3, "e": []}
