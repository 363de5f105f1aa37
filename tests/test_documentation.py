"""The documentation: its links lead somewhere, its commands name what exists, and those that are cheap are run."""

from __future__ import annotations

import re
import shlex
from fnmatch import fnmatch
from functools import reduce
from importlib.util import find_spec
from operator import getitem

import click
import numpy as np
import pytest
from kedro.framework.cli.cli import KedroCLI
from PIL import Image

from command_line import PROJECT, kedro, latest, small
from gan_pipelines import settings
from gan_pipelines.core.config import merge
from gan_pipelines.gan.variants import VARIANTS
from gan_pipelines.pipeline_registry import register_pipelines
from gan_pipelines.project.parameters import parse_parameters

PAGES = [
    PROJECT / "README.md",
    PROJECT / "CONTRIBUTING.md",
    *sorted(PROJECT.glob("docs/**/*.md")),
    *sorted(PROJECT.glob("notebooks/*.ipynb")),
]
COMMAND = r"((?:kedro|make|python) [^`\n]+)"
PLACEHOLDERS = {
    "<page>": "speed",
    "<experiment>": "playing_cards",
    "--env=cards": "--env=cifar10_quick",  # which has the variants that `kedro experiment` suggests
    "<variant>": "cdcgan",
    "<seed>": "2",
}


def commands_in(page):
    """The commands that stand in a line of a block, or in backticks."""
    text = page.read_text().replace("\\\n", "")
    lines = re.findall(rf"^(?:    )?{COMMAND}|`{COMMAND}`", text, re.MULTILINE)
    return [shlex.join(shlex.split(line or inline, comments=True)) for line, inline in lines]


COMMANDS = list(dict.fromkeys(command for page in PAGES for command in commands_in(page)))
CHEAP = [line for line in COMMANDS if line.startswith(("kedro run", "kedro registry")) and "--env" not in line]


def anchors(page):
    """The names under which the headings of a page can be linked to."""
    headings = re.findall(r"^#+ (.*)", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_links_of_a_page_lead_somewhere(page):
    for path, anchor in re.findall(r"\]\((?!https?:)([^)#]*)#?([^)]*)\)", page.read_text()):
        linked = page.parent / path if path else page
        assert linked.exists(), path
        assert not anchor or anchor in anchors(linked), anchor


def fill_in(line):
    return reduce(lambda filled, item: filled.replace(*item), PLACEHOLDERS.items(), line)


@pytest.fixture(scope="module")
def pipelines():
    return register_pipelines()


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_names_what_exists(line, pipelines):
    program, *words = shlex.split(fill_in(line))
    if program == "make":
        targets = re.findall(r"^([a-z%_-]+):", (PROJECT / "Makefile").read_text(), re.MULTILINE)
        assert any(fnmatch(words[0], target.replace("%", "*")) for target in targets)
    elif program == "python" and words[0] == "-m":
        assert find_spec(f"{words[1]}.__main__")
    elif program == "python":
        assert (PROJECT / words[0]).is_file()
    elif words[0] != "viz" or find_spec("kedro_viz"):
        command = KedroCLI(PROJECT)
        while isinstance(command, click.Group):
            _, command, words = command.resolve_command(click.Context(command), words)
        if command.name in ("experiment", "reproduce", "score", "sweep") and not words:
            return  # named, not typed
        options = command.make_context(command.name, words).params
        if command.name == "run" and "load_versions" in options:
            check_run(options, [pipelines[name] for name in options["pipelines"] or ["__default__"]])


def check_run(options, pipelines):
    """Environment, parameters, entries of the catalog: all that a run would look up."""
    assert options["env"] is None or (PROJECT / "conf" / options["env"]).is_dir()
    loader = settings.CONFIG_LOADER_CLASS(str(PROJECT / "conf"), options["env"], **settings.CONFIG_LOADER_ARGS)
    stated = loader["parameters"]
    parameters = merge(stated, options["params"])
    assert parameters.keys() == stated.keys()
    for section in ("reporting", "runtime"):
        assert parameters[section].keys() == stated[section].keys()
    entries = [f"params:{section}" for section in parameters if section not in ("experiment", "variants")]
    entries += [f"params:variants.{variant}" for variant in parameters["variants"]]
    parse_parameters(parameters, entries)
    for pipeline in pipelines:
        assert options["load_versions"].keys() <= pipeline.datasets()
        for name in pipeline.inputs():
            if name.startswith("params:"):
                reduce(getitem, name.removeprefix("params:").split("."), parameters)


@pytest.mark.slow
def test_the_cheap_commands_run(small_project):
    noise = np.random.default_rng(0)
    for picture in ("train/ace/1", "train/ace/2", "train/king/1", "train/king/2", "test/ace/3", "test/king/3"):
        path = small_project / f"data/01_raw/cards/{picture}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(noise.integers(0, 256, (70, 50, 3), dtype=np.uint8)).save(path)
    (small_project / "data/made").mkdir()
    for number in range(40):
        Image.fromarray(noise.integers(0, 256, (8, 8), np.uint8)).save(small_project / f"data/made/{number}.png")
    for line in CHEAP:
        filled = fill_in(line)
        if "<version>" in filled:
            variant = re.search(r"--pipelines=[a-z]+_(\w+)", filled)[1]
            newest = latest(small_project, f"06_models/digits/{variant}/generator.safetensors")
            filled = filled.replace("<version>", newest.parent.name)
        _, command, *words = shlex.split(filled)
        kedro(small_project, command, *(shorten(words) if command == "run" else words))


def shorten(words):
    """The same options of a run, with the smallest budgets laid under its own parameters."""
    options = dict(word.split("=", 1) for word in words)
    variant = options.get("--pipelines", "").partition("_")[2]
    variant = variant if variant in VARIANTS else "cdcgan"
    own = [options["--params"]] if "--params" in options else []
    options["--params"] = ",".join([small(variant, epochs=2), *own])
    return [f"{name}={value}" for name, value in options.items()]
