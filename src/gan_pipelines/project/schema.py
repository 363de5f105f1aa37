"""JSON schema of parameters.yml, with which editors complete and check settings.

``make schema`` writes it to conf/parameters.schema.json.
"""

from __future__ import annotations

import dataclasses
import inspect
import json
import re
import sys
from collections.abc import Iterator, Mapping
from typing import Any, get_args, get_type_hints

from pydantic import create_model

from gan_pipelines.gan.config import GanConfig
from gan_pipelines.gan.variants import VARIANTS
from gan_pipelines.project.parameters import SECTIONS

INTERPOLATION = {"type": "string", "pattern": r"^\$\{.+\}$"}
"""A value that OmegaConf fills in, such as ``${oc.env:HOME}``."""


def parameters_schema() -> dict[str, Any]:
    """Describe all sections: names, types and bounds of settings, and what they mean.

    Nothing is required, since a file may state only a part, and any value may be an interpolation.
    """
    rows: dict[str, Any] = dict.fromkeys(VARIANTS, (GanConfig | None, None))
    variants = create_model("Variants", **rows)
    sections: dict[str, Any] = {name: (section, None) for name, section in SECTIONS.items()}
    model = create_model("Parameters", experiment=(str, ""), variants=(variants, None), **sections)
    schema = model.model_json_schema()
    described = {found.__name__: _describe(found) for root in (GanConfig, *SECTIONS.values()) for found in _walk(root)}
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        **_relax(schema, {}),
        "$defs": {name: _relax(definition, described.get(name, {})) for name, definition in schema["$defs"].items()},
    }


def _walk(config_type: type) -> Iterator[type]:
    """A configuration class and the classes of its nested settings."""
    yield config_type
    for expected in get_type_hints(config_type).values():
        for option in (expected, *get_args(expected)):
            if dataclasses.is_dataclass(option) and isinstance(option, type):
                yield from _walk(option)


def _describe(config_type: type) -> dict[str, str]:
    """Descriptions of the settings from the docstrings of a class and its parents."""
    attributes = "".join(inspect.cleandoc(parent.__doc__ or "") + "\n" for parent in reversed(config_type.__mro__))
    return dict(re.findall(r"^    (\w+): (.*(?:\n        .*)*)", attributes, re.MULTILINE))


def _relax(definition: Mapping[str, Any], described: Mapping[str, str]) -> dict[str, Any]:
    """The schema of one configuration, with descriptions of its settings, without required settings."""
    summary = definition.get("description", "").partition("\n\nAttributes:\n")[0]
    properties = {
        name: {"description": " ".join(described.get(name, "").split()), "anyOf": [_strip(value), INTERPOLATION]}
        for name, value in definition["properties"].items()
    }
    return {"description": summary, "type": "object", "additionalProperties": False, "properties": properties}


def _strip(value: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of a value without its default, which may be another one in a variant's row."""
    return {key: part for key, part in value.items() if key not in ("default", "title")}


if __name__ == "__main__":
    json.dump(parameters_schema(), sys.stdout, indent=2, ensure_ascii=False)
    print()
