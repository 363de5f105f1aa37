"""Configuration as dataclasses: from plain values, with checks that end in a sentence that a user can act on."""

from __future__ import annotations

import dataclasses
import difflib
import types
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from gan_pipelines.core.errors import ProjectError

Config = TypeVar("Config")


class ConfigError(ProjectError, ValueError):
    """A setting that cannot work. The message names it, its value, and what is allowed."""


def require(condition: bool, name: str, value: object, allowed: str) -> None:
    """Raise a `ConfigError` about the setting ``name`` unless ``condition`` holds."""
    if not condition:
        raise ConfigError(f"{name} is {value!r}, but must be {allowed}.")


def require_choice(name: str, value: object, literal: Any) -> None:
    """Raise a `ConfigError` unless ``value`` is one of the values of a ``Literal``."""
    choices = get_args(literal)
    require(value in choices, name, value, f"one of {', '.join(map(str, choices))}")


@contextmanager
def naming(path: str) -> Iterator[None]:
    """Put where settings stand, ``variants.dcgan``, before the name that a `ConfigError` of the block begins with."""
    try:
        yield
    except ConfigError as error:
        raise ConfigError(f"{path}.{error}") from error


def from_dict(config_type: type[Config], values: object, path: str) -> Config:
    """Build a configuration dataclass, nested ones included, from plain values as YAML or JSON give them.

    Args:
        config_type: a dataclass whose fields are numbers, strings, booleans, literals, tuples, other such dataclasses,
            or any of these or None.
        values: a mapping from field names to values.
        path: where the values stand, for messages: ``variants.dcgan``.

    Raises:
        ConfigError: if a value has the wrong type or is not allowed, a key is unknown, or a required one is missing.
    """
    if not isinstance(values, Mapping):
        raise ConfigError(f"{path} is {values!r}, but must be a mapping of settings.")
    types_by_name = get_type_hints(config_type)
    fields = dataclasses.fields(config_type)  # type: ignore[arg-type]
    names = [field.name for field in fields]
    for key in values:
        if key not in names:
            raise ConfigError(f"{path}.{key} is not a setting; {suggest(str(key), names)}")
    arguments = {key: _convert(types_by_name[key], value, f"{path}.{key}") for key, value in values.items()}
    required = [field.name for field in fields if field.default is dataclasses.MISSING]
    if missing := [name for name in required if name not in arguments]:
        raise ConfigError(f"{path} lacks {', '.join(missing)}.")
    with naming(path):
        return config_type(**arguments)


def merge(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Lay ``changes`` over ``base``, mapping by mapping; None and all else that is no mapping replaces."""
    merged = dict(base)
    for key, value in changes.items():
        both_mappings = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = merge(merged[key], value) if both_mappings else value
    return merged


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """``{"a": {"b": 1}}`` becomes ``{"a.b": 1}``."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= flatten(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return flat


def suggest(word: str, known: list[str]) -> str:
    """A half sentence that names the nearest known word, or all of them."""
    near = difflib.get_close_matches(word, known, n=1)
    return f"did you mean {near[0]}?" if near else f"known are {', '.join(sorted(known))}"


def _convert(expected: Any, value: Any, path: str) -> Any:
    origin = get_origin(expected)
    if origin in (Union, types.UnionType):
        if value is None:
            return None
        (expected,) = (option for option in get_args(expected) if option is not type(None))
        return _convert(expected, value, path)
    if origin is Literal:
        require_choice(path, value, expected)
        return value
    if origin is tuple:
        (item_type, *_) = get_args(expected)
        items = _split(value, item_type) if isinstance(value, str) else value
        if not isinstance(items, list | tuple):
            raise ConfigError(f"{path} is {value!r}, but must be a list.")
        return tuple(_convert(item_type, item, path) for item in items)
    if dataclasses.is_dataclass(expected):
        return from_dict(expected, value, path)  # type: ignore[arg-type]
    return _convert_scalar(expected, value, path)


def _split(text: str, item_type: Callable[[str], Any]) -> list[Any]:
    """Read a list as the command line can give it, where a comma begins the next parameter: ``0.1;0.5``."""
    items = [item.strip() for item in text.split(";")]
    try:
        return [item_type(item) for item in items]
    except ValueError:
        return items  # the sentence about the item's type follows


def _convert_scalar(expected: type, value: Any, path: str) -> Any:
    if expected is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, expected) and isinstance(value, bool) == (expected is bool):
        return value
    names = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}
    raise ConfigError(f"{path} is {value!r}, but must be {names[expected]}.")
