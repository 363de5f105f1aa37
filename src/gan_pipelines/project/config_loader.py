"""Loading of parameters: how an environment changes those of base."""

from __future__ import annotations

import copy
import io
import lzma
import re
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from functools import reduce
from itertools import combinations
from pathlib import Path
from typing import Any

import yaml
from kedro.config import OmegaConfigLoader
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import MarkedYAMLError, YAMLError

from gan_pipelines.core.config import ConfigError, merge, suggest
from gan_pipelines.core.errors import first_line

SHARES = ("augmentation", "synthetic", "balance")
"""The setting whose names are free. Merged with others, those of --params would be other shares."""
ARCHIVE_ERRORS = (tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, OSError, EOFError)
"""What reading a torn archive raises."""


class ExperimentConfigLoader(OmegaConfigLoader):
    """Loads an experiment (``--env``) so that each section it states replaces the whole section of base.

    Without ``--env``, ``conf/local`` is read, if there is one: it changes only the settings that it names, at any
    depth.

    Raises:
        ConfigError: if there is no such environment, or the source cannot be read; later, if a file cannot.
    """

    def __init__(self, conf_source: str, env: str | None = None, *args: Any, **kwargs: Any) -> None:
        try:
            super().__init__(conf_source, env, *args, **kwargs)
        except ARCHIVE_ERRORS as error:
            raise ConfigError(f"{conf_source} cannot be read ({first_line(error)}); make the archive again.") from error
        known = self._list_environments()
        if self.base_env not in known:
            raise ConfigError(
                f"{conf_source} has no folder {self.base_env}; --conf-source is a folder such as conf, or its archive."
            )
        if env is not None and env not in known:
            raise ConfigError(f"There is no environment {env!r} in {Path(conf_source).name}; {suggest(env, known)}")
        if self.default_run_env not in known:  # Kedro would quietly leave out some files of base
            self.default_run_env = self.base_env
        if env in (None, self.default_run_env):
            self.merge_strategy = {**self.merge_strategy, "parameters": "soft"}

    def __getitem__(self, key: str) -> dict[str, Any]:
        """Load a kind of configuration. Raises a `ConfigError` with the file and the line of a mistake."""
        stated = self.runtime_params
        shares = find_setting(stated, SHARES) if key == "parameters" else None
        if not isinstance(shares, Mapping):
            return self._load(key)
        self.runtime_params = copy.deepcopy(stated)
        del find_setting(self.runtime_params, SHARES[:-1])[SHARES[-1]]
        alone: Any = reduce(lambda inner, name: {name: inner}, reversed(SHARES), shares)
        try:
            return lay_over(self._load(key), alone)
        finally:
            self.runtime_params = stated

    def _resolve_from_raw_config(
        self, key: str, base_configs: dict[Path, DictConfig], env_configs: dict[Path, DictConfig], *rest: Any
    ) -> dict[str, Any]:
        """Merge the files; sections that no file of an environment states are those of base.

        Kedro lays --params over the files of base and over those of the environment. Of a section that only base
        states, the environment would otherwise have what --params state alone, and replace all of base's by it.
        """
        if key != "parameters" or self.merge_strategy.get(key) == "soft" or not self.runtime_params:
            return dict(super()._resolve_from_raw_config(key, base_configs, env_configs, *rest))
        stated = {name for config in env_configs.values() for name in config}
        base = self._merge_and_resolve(key, copy.deepcopy(base_configs))  # which Kedro's merge changes
        merged = super()._resolve_from_raw_config(key, base_configs, env_configs, *rest)
        return merged | {name: value for name, value in base.items() if name not in stated}

    def _load(self, key: str) -> dict[str, Any]:
        self._register_globals_resolver()  # the process has one, which may be another loader's
        try:
            return super().__getitem__(key)
        except Exception as error:
            self._name_place(key, error)
            raise

    def _name_place(self, key: str, error: Exception) -> None:
        """Raise a `ConfigError` that names the file and the line from which an error comes, if it does from a file."""
        archive = "" if self._protocol == "file" else f"{self.conf_source}: "
        files = {f"{archive}{path}": self._fs.cat_file(path) for path in self._list_files(key)}
        for place, content in files.items():
            check_file(place, content)
        if isinstance(error, OmegaConfBaseException):
            name = str(error.full_key)
            lines = {place: find_line(content, name) for place, content in files.items()}
            found = [f"{place}, line {line}" for place, line in lines.items() if line is not None]
            is_asked = "${" in str(find_setting(self.runtime_params, name.split(".")))
            place = found[-1] if found and not is_asked else "--params"
            raise ConfigError(
                f"{place}: {name} has ${{...}}, which stands for another setting ({first_line(error)}); name one that "
                "exists, or write \\${ for the text itself."
            ) from error
        layers: dict[str, Any] = {place: yaml.safe_load(content) for place, content in files.items()}
        for (place, values), (other, changes) in combinations((layers | {"--params": self.runtime_params}).items(), 2):
            if part := find_part_of_list(values, changes):
                raise ConfigError(
                    f"{other}: {part} is a list in {place}, and a list is not changed in part; state all of it."
                ) from error

    def _list_environments(self) -> list[str]:
        folders = [path for path in self._fs.ls(self._get_conf_env_path(""), detail=False) if self._fs.isdir(path)]
        return sorted(Path(folder).name for folder in folders)

    def _list_files(self, key: str) -> list[str]:
        """The files of a kind of configuration, those of base first."""
        folders = dict.fromkeys(
            self._get_conf_env_path(env) for env in (self.base_env, self.env or self.default_run_env)
        )
        patterns = self.config_patterns.get(key, [])
        paths = [{path for each in patterns for path in self._fs.glob(f"{folder}/{each}")} for folder in folders]
        return [path for each in paths for path in sorted(each) if self._is_valid_config_path(Path(path))]


def lay_over(parameters: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Lay changed parameters over others as `merge` does, but the shares of classes replace all of them."""
    merged = merge(parameters, changes)
    if isinstance(shares := find_setting(changes, SHARES), Mapping):
        find_setting(merged, SHARES[:-1])[SHARES[-1]] = dict(shares)
    return merged


def find_setting(values: Any, path: Iterable[str]) -> Any:
    """The value of a setting by its names, from the outermost; None if it is not there."""
    for name in path:
        if not isinstance(values, Mapping):
            return None
        values = values.get(name)
    return values


def check_file(place: str, content: bytes) -> None:
    """Raise a `ConfigError` with the line of a mistake, if a file of the configuration has one.

    Args:
        place: the file, for sentences.
        content: of the file.
    """
    try:
        text = content.decode()
        config = OmegaConf.load(io.StringIO(text))
    except MarkedYAMLError as error:
        lines = text.splitlines()
        line = min(error.problem_mark.line, len(lines) - 1)  # what ends too early ends after the last line
        raise ConfigError(f"{place}, line {line + 1}: {_describe(str(error.problem), lines[line])}") from error
    except OmegaConfBaseException:  # of a setting, not of the file
        return
    except (UnicodeError, YAMLError) as error:
        raise ConfigError(f"{place} cannot be read: {first_line(error)}.") from error
    if not isinstance(config, DictConfig) or not all(isinstance(name, str) for name in config):
        raise ConfigError(f"{place} must be a mapping whose names are texts.")


def find_line(content: bytes, full_key: str) -> int | None:
    """Find the line of a setting such as ``dataset.path`` in a YAML file, counted from 1; None if it has no ``${``."""
    node = yaml.compose(content.decode(), yaml.SafeLoader)
    for name in re.split(r"[.\[]", full_key):
        if isinstance(node, yaml.SequenceNode):
            break
        pairs = node.value if isinstance(node, yaml.MappingNode) else []
        node = next((value for key, value in pairs if key.value == name), None)
    return None if node is None or "${" not in yaml.serialize(node) else node.start_mark.line + 1


def find_part_of_list(values: Any, changes: Any) -> str | None:
    """Find a setting that is a list in ``values`` and a mapping in ``changes``, which OmegaConf cannot merge."""
    if not isinstance(values, Mapping) or not isinstance(changes, Mapping):
        return None
    for name in values.keys() & changes.keys():
        if isinstance(values[name], list) and isinstance(changes[name], Mapping):
            return str(name)
        if found := find_part_of_list(values[name], changes[name]):
            return f"{name}.{found}"
    return None


def _describe(problem: str, line: str) -> str:
    if problem.startswith("found character") and line.lstrip(" ").startswith("\t"):
        return "here is a tab, and YAML is indented by spaces."
    if problem.startswith("found duplicate key "):
        return f"{problem.removeprefix('found duplicate key ')} is there twice; remove one."
    return f"this is no YAML ({problem})."
