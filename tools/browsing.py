"""A headless browser and the servers that it visits, for `tests/browser` and `screenshots.py`."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from selenium.common import ElementClickInterceptedException, StaleElementReferenceException
from selenium.webdriver import Chrome, ChromeOptions, ChromeService
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

CHROMIUM = shutil.which("chromium")
CHROMEDRIVER = shutil.which("chromedriver")
HOST = "127.0.0.1"
SECONDS = 120
"""Maximum number of seconds to wait for a server or for an element of a page."""
BIN = Path(sys.executable).parent
VIZ = (BIN / "kedro", "viz", "run", "--no-browser", f"--host={HOST}", "--port={port}")
MLFLOW = (BIN / "kedro", "ui", f"--host={HOST}", "--port={port}")
FILES = (sys.executable, "-m", "http.server", f"--bind={HOST}", "{port}")
OFFLINE_ENVIRONMENT = {
    "HTTP_PROXY": f"http://{HOST}:9",  # nothing listens there, so that servers cannot reach the internet
    "HTTPS_PROXY": f"http://{HOST}:9",
    "NO_PROXY": HOST,
    "DO_NOT_TRACK": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}


@contextmanager
def open_browser(width: int = 1600, height: int = 1000) -> Iterator[Chrome]:
    """Start a Chromium that has an empty profile and reaches only this machine; quit it at the end.

    Args:
        width: of the window, in pixels.
        height: of the window, in pixels.
    """
    with tempfile.TemporaryDirectory() as profile:
        options = ChromeOptions()
        options.binary_location = CHROMIUM or "chromium"
        for flag in (
            "headless=new",
            "no-sandbox",
            "disable-gpu",
            "disable-quic",
            "no-first-run",
            "disable-background-networking",
            "disable-component-update",
            "disable-sync",
            "hide-scrollbars",
            f"host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE {HOST}",
            f"user-data-dir={profile}",
            f"window-size={width},{height}",
        ):
            options.add_argument(f"--{flag}")
        browser = Chrome(options, ChromeService(CHROMEDRIVER or "chromedriver"))
        try:
            yield browser
        finally:
            browser.quit()


@contextmanager
def serve(command: Sequence[str | Path], folder: Path) -> Iterator[str]:
    """Start a server, wait until it answers, and stop it with all its children at the end.

    Args:
        command: `VIZ`, `MLFLOW` or `FILES`; ``{port}`` is replaced by a free port.
        folder: working directory: the project, or the folder of the files.

    Yields:
        The address, which ends with a slash.

    Raises:
        RuntimeError: if the server ends before it answers.
    """
    port = _free_port()
    address = f"http://{HOST}:{port}/"
    environment = {**os.environ, **OFFLINE_ENVIRONMENT, "PATH": f"{BIN}:{os.environ['PATH']}"}
    filled = [str(part).format(port=port) for part in command]
    with (
        tempfile.TemporaryFile("w+") as log,
        subprocess.Popen(
            filled, cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        ) as process,
    ):

        def answers(_: object) -> bool:
            if process.poll() is not None:
                log.seek(0)
                raise RuntimeError(f"{' '.join(filled)} has ended:\n{log.read()}")
            with suppress(OSError), urllib.request.urlopen(address):
                return True
            return False

        try:
            WebDriverWait(process, SECONDS).until(answers, f"{' '.join(filled)} does not answer")
            yield address
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)


def _free_port() -> int:
    """Find a free port below the ephemeral ones, which kedro-viz does not accept."""
    for port in random.sample(range(20_000, 30_000), 100):
        with socket.socket() as free, suppress(OSError):
            free.bind((HOST, port))
            return port
    raise RuntimeError("No port is free.")


def open_viz(browser: Chrome, address: str, query: str = "", sidebar: bool = True) -> None:
    """Open kedro-viz in its light theme, without the minimap and the tour of features, which cover the pipeline."""
    visible = {"graph": True, "sidebar": sidebar, "miniMap": False, "code": False, "slicing": True}
    settings = {"theme": "light", "showFeatureHints": False, "visible": visible}
    _store_settings(browser, f"{address}favicon.ico", KedroViz=settings)
    browser.get(f"{address}{query}")
    find(browser, ".pipeline-node")


def open_mlflow(browser: Chrome, address: str, path: str = "experiments") -> None:
    """Open MLflow in its view for model training, without its assistant and its tour of features."""
    settings = {
        "mlflow.workflowType_v1": "machine_learning",
        "mlflow.assistant.panelOpen_v1": False,
        "mlflow.assistant.fab.autoOpenedOnFirstLoad_v1": True,
        "mlflow.detectIssues.guidanceShown_v1": True,
    }
    _store_settings(browser, f"{address}version", **settings)
    browser.get(f"{address}#/{path}")


def forget(browser: Chrome, address: str) -> None:
    """Forget the settings of MLflow, as in the browser of a new user."""
    _store_settings(browser, f"{address}version")


def _store_settings(browser: Chrome, page: str, **settings: Any) -> None:
    """Replace an application's settings in the browser.

    Args:
        browser: the browser.
        page: a page of the same server that does not load the application, which would write its own settings.
        settings: values by name.
    """
    browser.get(page)
    browser.execute_script("localStorage.clear()")
    for name, value in settings.items():
        browser.execute_script("localStorage.setItem(...arguments)", name, json.dumps(value))


def find(browser: Chrome, selector: str, text: str = "") -> WebElement:
    """Wait for a visible element and return it.

    Args:
        browser: the browser.
        selector: a CSS selector.
        text: a part of the element's text.
    """

    def first(_: Chrome) -> WebElement | None:
        found = browser.find_elements(By.CSS_SELECTOR, selector)
        return next((element for element in found if element.is_displayed() and text in element.text), None)

    return _wait(browser).until(first, f"There is no {selector} with {text!r}")


def click(browser: Chrome, selector: str, text: str = "") -> None:
    """Wait for an element, as `find` does, and click it; try again if the page is redrawn meanwhile."""

    def clicked(_: Chrome) -> bool:
        find(browser, selector, text).click()
        return True

    _wait(browser).until(clicked, f"{selector} with {text!r} cannot be clicked")


def _wait(browser: Chrome) -> WebDriverWait[Chrome]:
    """Make a wait that goes on if the page is redrawn."""
    redrawn = [StaleElementReferenceException, ElementClickInterceptedException]
    return WebDriverWait(browser, SECONDS, ignored_exceptions=redrawn)


def settle(browser: Chrome) -> None:
    """Wait until two screenshots are the same: animations are over and images are loaded."""
    last = b""

    def is_still(_: Chrome) -> bool:
        nonlocal last
        before, last = last, browser.get_screenshot_as_png()
        return before == last

    WebDriverWait(browser, SECONDS, poll_frequency=1).until(is_still, "The page keeps changing")
