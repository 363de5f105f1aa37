"""Typed configurations: frozen dataclasses that check their values, and errors that are one sentence."""

from __future__ import annotations

import dataclasses
import difflib
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from typing import Annotated, Any, Self, TypeVar, dataclass_transform, get_args, get_type_hints

from pydantic import BeforeValidator, ConfigDict, Field, Strict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as pydantic_dataclass
from pydantic_core import ErrorDetails

from gan_pipelines.core.errors import ProjectError

Config = TypeVar("Config")


class ConfigError(ProjectError, ValueError):
    """A setting that cannot work.

    Attributes:
        path: name of the setting, ``variants.dcgan.epochs``; empty if the problem is not about one setting.
        problem: the rest of the sentence.
    """

    def __init__(self, problem: str, path: str = "") -> None:
        super().__init__(f"{path} {problem}" if path else problem)
        self.problem = problem
        self.path = path

    def within(self, section: str) -> Self:
        """The same error with ``section`` before the name of the setting."""
        return type(self)(self.problem, f"{section}.{self.path}") if self.path else self


def require(condition: bool, name: str, value: object, allowed: str) -> None:
    """Raise a `ConfigError` about the setting ``name`` unless ``condition`` holds."""
    if not condition:
        raise ConfigError(f"is {value!r}, but must be {allowed}.", name)


def require_choice(name: str, value: object, literal: Any) -> None:
    """Raise a `ConfigError` unless ``value`` is one of the values of a ``Literal``."""
    choices = get_args(literal)
    require(value in choices, name, value, f"one of {', '.join(map(str, choices))}")


def require_local(name: str, path: object) -> None:
    """Raise a `ConfigError` if a path begins with a protocol, such as ``s3://`` or ``file://``."""
    allowed = "a path on this machine, without a protocol such as s3:// or file://"
    require(re.match(r"[\w+.:-]*://", str(path)) is None, name, str(path), allowed)


@contextmanager
def naming(section: str) -> Iterator[None]:
    """Put ``section`` before the names of settings in each `ConfigError` of the block."""
    try:
        yield
    except ConfigError as error:
        raise error.within(section) from error


# Types of settings. Strict: neither 3.0, "3" nor true is a whole number.


def split_texts(value: object) -> object:
    """Split ``a;b``, a list as the command line gives it, where a comma begins the next parameter."""
    return [item.strip() for item in value.split(";")] if isinstance(value, str) else value


def split_numbers(value: object) -> object:
    """Split ``0.1;0.5`` likewise, into numbers if they are; a single number is a list of one."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return [value]
    try:
        return [float(item) for item in value.split(";")] if isinstance(value, str) else value
    except ValueError:
        return split_texts(value)


Integer = Annotated[int, Strict()]
Count = Annotated[int, Strict(), Field(ge=1)]
Seed = Annotated[int, Strict(), Field(ge=0, lt=2**63)]
Real = Annotated[float, Strict()]
Positive = Annotated[float, Strict(), Field(gt=0)]
NonNegative = Annotated[float, Strict(), Field(ge=0)]
Share = Annotated[float, Strict(), Field(ge=0, lt=1)]
Degrees = Annotated[float, Strict(), Field(ge=0, le=180)]
Switch = Annotated[bool, Strict()]
Texts = Annotated[tuple[str, ...], BeforeValidator(split_texts)]
Numbers = Annotated[tuple[Real, ...], BeforeValidator(split_numbers)]


@dataclass_transform(frozen_default=True, kw_only_default=True)
def config(cls: type[Config]) -> type[Config]:
    """Make a class a frozen dataclass with keyword arguments that are validated.

    Values that do not fit the types of the fields, and unknown names, raise a `ConfigError`.
    """
    settings = ConfigDict(extra="forbid", allow_inf_nan=False)
    made: Any = pydantic_dataclass(frozen=True, kw_only=True, config=settings)(cls)
    validate = made.__init__

    @wraps(validate)
    def initialize(self: Config, **values: Any) -> None:
        try:
            validate(self, **values)
        except ValidationError as error:
            raise _first_error(error, made) from error

    made.__init__ = initialize
    return made


def parse(config_type: type[Config], values: object, path: str) -> Config:
    """Build a configuration, nested ones included, from plain values as YAML or JSON give them.

    Args:
        config_type: a class made by `config`.
        values: a mapping from field names to values.
        path: where the values stand, for messages: ``variants.dcgan``.

    Raises:
        ConfigError: if a value has the wrong type or is not allowed, a name is unknown, or a required one is missing.
    """
    require(isinstance(values, Mapping), path, values, "a mapping of settings")
    assert isinstance(values, Mapping)
    for name in values:
        require(isinstance(name, str), f"a name in {path}", name, "a text")
    try:
        return TypeAdapter(config_type).validate_python(values)
    except ValidationError as error:
        raise _first_error(error, config_type).within(path) from error


def merge(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Lay ``changes`` over ``base``, mapping by mapping; any other value replaces, None included."""
    merged = dict(base)
    for key, value in changes.items():
        both_mappings = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = merge(merged[key], value) if both_mappings else value
    return merged


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """``{"a": {"b": 1}, "c": [{"d": 2}]}`` becomes ``{"a.b": 1, "c.0.d": 2}``."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        is_nested = isinstance(value, list | tuple) and any(isinstance(item, Mapping) for item in value)
        part = {str(index): item for index, item in enumerate(value)} if is_nested else value
        flat |= flatten(part, f"{prefix}{key}.") if isinstance(part, Mapping) else {f"{prefix}{key}": value}
    return flat


def suggest(word: str, known: list[str]) -> str:
    """A half sentence that names the nearest known word, or all of them."""
    near = difflib.get_close_matches(word, known, n=1)
    return f"did you mean {near[0]}?" if near else f"known are {', '.join(sorted(known))}"


_ALLOWED = {
    "int_type": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "string_type": "a text",
    "tuple_type": "a list",
    "missing": "a longer list",
    "too_short": "a list of {min_length} or more",
    "too_long": "a list of {max_length}",
    "dataclass_type": "a mapping of settings",
    "greater_than_equal": "{ge} or more",
    "greater_than": "greater than {gt}",
    "less_than_equal": "at most {le}",
    "less_than": "below {lt}",
}
"""Descriptions of allowed values by pydantic's type of error."""


def _first_error(error: ValidationError, config_type: type) -> ConfigError:
    """The first problem as a sentence; an unknown name comes first, since it is often why another one is missing."""
    problems = error.errors(include_url=False)
    unknown = [problem for problem in problems if problem["type"] == "unexpected_keyword_argument"]
    return _to_config_error((unknown or problems)[0], config_type)


def _to_config_error(problem: ErrorDetails, config_type: type) -> ConfigError:
    kind, context, place = problem["type"], problem.get("ctx", {}), problem["loc"]
    cause = context.get("error")
    if isinstance(cause, ConfigError):
        return cause.within(".".join(map(str, place))) if place else cause
    # The value tells which item of a list is wrong; a setting within an item needs the item's number.
    is_item = bool(place) and isinstance(place[-1], int)
    path = ".".join(map(str, place[:-1] if is_item else place))
    if kind == "unexpected_keyword_argument":
        known = [field.name for field in dataclasses.fields(_config_at(config_type, place[:-1]))]
        *places, name = map(str, place)
        if not name:  # of dataset..path
            return ConfigError(f"has a setting without a name; {suggest(name, known)}", ".".join(places))
        return ConfigError(f"is not a setting; {suggest(name, known)}", path)
    if kind == "missing" and not is_item:
        return ConfigError("is missing.", path)
    if kind == "literal_error":
        allowed = "one of " + context["expected"].replace(" or ", ", ").replace("'", "")
    elif kind in _ALLOWED:
        bounds = {name: f"{bound:g}" if isinstance(bound, float) else bound for name, bound in context.items()}
        allowed = _ALLOWED[kind].format(**bounds)
    else:
        return ConfigError(f"is {problem['input']!r}: {problem['msg']}.", path)
    return ConfigError(f"is {problem['input']!r}, but must be {allowed}.", path)


def _config_at(config_type: type, location: tuple[int | str, ...]) -> Any:
    """The configuration class of a nested setting; numbers are places in a list."""
    for name in location:
        if isinstance(name, int):
            continue
        expected = get_type_hints(config_type)[name]
        options = [option for option in (expected, *get_args(expected)) if dataclasses.is_dataclass(option)]
        config_type = options[0]  # type: ignore[assignment]
    return config_type
