from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal

import pytest

from gan_pipelines.core.config import ConfigError, flatten, from_dict, merge, require


@dataclass(frozen=True, kw_only=True)
class Inner:
    rate: float = 0.5
    pair: tuple[float, float] = (0.0, 1.0)

    def __post_init__(self) -> None:
        require(self.rate > 0, "rate", self.rate, "greater than 0")


@dataclass(frozen=True, kw_only=True)
class Outer:
    size: int
    kind: Literal["a", "b"] = "a"
    inner: Inner = Inner()
    maybe: Inner | None = None
    flag: bool = False
    name: str = ""


def test_plain_values_become_nested_dataclasses_and_back():
    built = from_dict(Outer, {"size": 3, "inner": {"rate": 1, "pair": [0, 0.9]}, "maybe": None, "kind": "b"}, "top")
    assert built == Outer(size=3, kind="b", inner=Inner(rate=1.0, pair=(0.0, 0.9)))
    assert isinstance(built.inner.rate, float)
    assert from_dict(Outer, asdict(built), "top") == built


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
        ({"size": 1, "inner": {"rate": -1}}, "top.inner.rate is -1.0, but must be greater than 0."),
        ({"size": 1, "maybe": {"rate": -1}}, "top.maybe.rate is -1.0, but must be greater than 0."),
        ({"size": 1, "inner": {"pair": 5}}, "top.inner.pair is 5, but must be a list."),
        ({"size": 1, "inner": 5}, "top.inner is 5, but must be a mapping of settings."),
        ({"sise": 1}, "top.sise is not a setting; did you mean size?"),
        ({"zzz": 1}, "top.zzz is not a setting; known are flag, inner, kind, maybe, name, size"),
        ({}, "top lacks size."),
    ],
)
def test_bad_values_are_named_with_their_path(values, message):
    with pytest.raises(ConfigError) as caught:
        from_dict(Outer, values, "top")
    assert str(caught.value) == message


def test_a_list_may_come_as_the_command_line_gives_it():
    assert from_dict(Outer, {"size": 1, "inner": {"pair": "0.25; 1"}}, "top").inner.pair == (0.25, 1.0)
    with pytest.raises(ConfigError, match=r"^top.inner.pair is '0.25', but must be a number\.$"):
        from_dict(Outer, {"size": 1, "inner": {"pair": "0.25;half"}}, "top")


def test_merge_goes_mapping_by_mapping():
    base = {"a": {"x": 1, "y": 2}, "b": {"z": 3}, "c": 4}
    assert merge(base, {"a": {"y": 5}, "b": None, "d": 6}) == {"a": {"x": 1, "y": 5}, "b": None, "c": 4, "d": 6}
    assert base == {"a": {"x": 1, "y": 2}, "b": {"z": 3}, "c": 4}


def test_flatten():
    assert flatten({"a": {"b": {"c": 1}, "d": None}, "e": (2, 3)}) == {"a.b.c": 1, "a.d": None, "e": (2, 3)}
