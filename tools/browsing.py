"""A browser without a window, and the servers that it looks at: for `tests/browser` and for `screenshots.py`."""

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
"""How long to wait for a server, or for something to appear on a page."""
BIN = Path(sys.executable).parent
VIZ = (BIN / "kedro", "viz", "run", "--no-browser", f"--host={HOST}", "--port={port}")
MLFLOW = (BIN / "kedro", "mlflow", "ui", f"--host={HOST}", "--port={port}")
FILES = (sys.executable, "-m", "http.server", f"--bind={HOST}", "{port}")
QUIET = {
    "HTTP_PROXY": f"http://{HOST}:9",  # nobody listens there: no server asks for news of itself
    "HTTPS_PROXY": f"http://{HOST}:9",
    "NO_PROXY": HOST,
    "DO_NOT_TRACK": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}


@contextmanager
def open_browser(width: int = 1600, height: int = 1000) -> Iterator[Chrome]:
    """Start a Chromium with an empty profile, which reaches nothing but this machine, and end it."""
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
    """Start a server in a folder, wait until it answers, and end it with all its children.

    Args:
        command: with ``{port}`` in the place of the port: `VIZ`, `MLFLOW` or `FILES`.
        folder: the project, or that of the files.

    Yields:
        The address, with a slash at its end.
    """
    port = _free_port()
    address = f"http://{HOST}:{port}/"
    environment = {**os.environ, **QUIET, "PATH": f"{BIN}:{os.environ['PATH']}"}
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
    """A port that nobody listens at; kedro-viz takes none of the ephemeral ones, which a system would choose."""
    for port in random.sample(range(20_000, 30_000), 100):
        with socket.socket() as free, suppress(OSError):
            free.bind((HOST, port))
            return port
    raise RuntimeError("No port is free.")


def open_viz(browser: Chrome, address: str, query: str = "", sidebar: bool = True) -> None:
    """Open kedro-viz, in its light theme and without what lies over the pipeline: a small map, and a tour of news."""
    visible = {"graph": True, "sidebar": sidebar, "miniMap": False, "code": False, "slicing": True}
    settings = {"theme": "light", "showFeatureHints": False, "visible": visible}
    _remember(browser, f"{address}favicon.ico", KedroViz=settings)
    browser.get(f"{address}{query}")
    find(browser, ".pipeline-node")


def open_mlflow(browser: Chrome, address: str, path: str = "experiments") -> None:
    """Open MLflow, where it is for those who train models, and without its assistant and its tour."""
    settings = {
        "mlflow.workflowType_v1": "machine_learning",
        "mlflow.assistant.panelOpen_v1": False,
        "mlflow.assistant.fab.autoOpenedOnFirstLoad_v1": True,
        "mlflow.detectIssues.guidanceShown_v1": True,
    }
    _remember(browser, f"{address}version", **settings)
    browser.get(f"{address}#/{path}")


def _remember(browser: Chrome, page: str, **settings: Any) -> None:
    """Store these settings of an application and no others, from a page of its server that is not the application."""
    browser.get(page)
    browser.execute_script("localStorage.clear()")
    for name, value in settings.items():
        browser.execute_script("localStorage.setItem(...arguments)", name, json.dumps(value))


def find(browser: Chrome, selector: str, text: str = "") -> WebElement:
    """Wait for a visible element that has a text, and return it.

    Args:
        browser: where to look.
        selector: of CSS.
        text: or part of it.
    """

    def first(_: Chrome) -> WebElement | None:
        found = browser.find_elements(By.CSS_SELECTOR, selector)
        return next((element for element in found if element.is_displayed() and text in element.text), None)

    return _waiting(browser).until(first, f"There is no {selector} with {text!r}")


def click(browser: Chrome, selector: str, text: str = "") -> None:
    """Wait for an element, as `find` does, and click it, again if the page was just being redrawn."""

    def clicked(_: Chrome) -> bool:
        find(browser, selector, text).click()
        return True

    _waiting(browser).until(clicked, f"{selector} with {text!r} cannot be clicked")


def _waiting(browser: Chrome) -> WebDriverWait[Chrome]:
    redrawn = [StaleElementReferenceException, ElementClickInterceptedException]
    return WebDriverWait(browser, SECONDS, ignored_exceptions=redrawn)


def settle(browser: Chrome) -> None:
    """Wait until the page looks the same twice: animations are over and pictures are there."""
    last = b""

    def still(_: Chrome) -> bool:
        nonlocal last
        before, last = last, browser.get_screenshot_as_png()
        return before == last

    WebDriverWait(browser, SECONDS, poll_frequency=1).until(still, "The page never stands still")
