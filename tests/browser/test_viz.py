"""What kedro-viz shows of a project after a short training."""

from __future__ import annotations

import base64
import io
import subprocess

import numpy as np
import pytest
from PIL import Image

from browsing import BIN, FILES, VIZ, click, find, open_viz, serve
from command_line import latest

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def running(small_project):
    with serve(VIZ, small_project) as address:
        yield address


@pytest.fixture(scope="module")
def site(small_project, tmp_path_factory):
    """The static site in a subfolder of a web server."""
    subprocess.run([BIN / "kedro", "viz", "build", "--include-previews"], cwd=small_project, check=True)
    root = tmp_path_factory.mktemp("web")
    (small_project / "build").rename(root / "pipelines")
    with serve(FILES, root) as address:
        yield f"{address}pipelines/"


@pytest.fixture(params=["running", "site"])
def address(request):
    return request.getfixturevalue(request.param)


def texts(browser, selector):
    return [element.text for element in browser.find_elements("css selector", selector)]


def test_the_default_pipeline_is_shown_in_layers_with_the_variant_folded(browser, address):
    open_viz(browser, address)
    nodes = texts(browser, ".pipeline-node__text")
    assert {"prepare_images", "open_extractor", "cdcgan", "cdcgan.sample_grids", "cdcgan.verdicts"} <= set(nodes)
    assert "train_gan" not in nodes
    assert texts(browser, ".pipeline-layer-name") == ["images", "features", "models", "generated", "reports"]


def test_a_variant_unfolds(browser, address):
    open_viz(browser, address, "?pid=train_cdcgan&expandAllPipelines=true")
    find(browser, ".pipeline-node__text", "train_gan")
    assert {"score_generators", "cdcgan.generator", "cdcgan.history"} <= set(texts(browser, ".pipeline-node__text"))


def test_the_newest_grid_of_samples_can_be_seen(browser, address, small_project):
    open_viz(browser, address, "?pid=train_cdcgan")
    click(browser, "button[title='cdcgan.sample_grids']")
    assert find(browser, ".pipeline-metadata__title").text == "cdcgan.sample_grids"
    shown = find(browser, ".pipeline-metadata img").get_attribute("src").partition("base64,")[2]
    saved = latest(small_project, "07_model_output/digits/cdcgan/sample_grids") / "epoch-0002.png"
    assert np.array_equal(Image.open(io.BytesIO(base64.b64decode(shown))), Image.open(saved))


def test_numbers_can_be_seen(browser, address):
    open_viz(browser, address, "?pid=train_cdcgan&expandAllPipelines=true")
    click(browser, "button[title='cdcgan.model_summary']")
    assert "discriminator" in find(browser, ".pipeline-metadata table").text
    click(browser, "button[title='manifest']")
    find(browser, ".pipeline-metadata__title", "manifest")
    assert "1797" in find(browser, ".pipeline-metadata", '"images"').text
