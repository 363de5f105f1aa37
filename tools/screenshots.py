"""Take screenshots of kedro-viz, MLflow and the comparison page, with the contents of `data/` and `mlruns/`.

    python tools/screenshots.py OUT [--page GLOB]

OUT is the folder for the screenshots. GLOB matches comparison pages in the project; the newest is shown.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from mlflow.entities import Run
from mlflow.tracking import MlflowClient
from selenium.webdriver import Chrome
from selenium.webdriver.common.keys import Keys

from browsing import FILES, MLFLOW, VIZ, click, find, open_browser, open_mlflow, open_viz, serve, settle
from gan_pipelines.tracking.views import CURVES, SCORES

PROJECT = Path(__file__).parents[1]
STORE = f"sqlite:///{PROJECT}/mlruns/mlflow.db"


def capture_viz(browser: Chrome, out: Path) -> None:
    """Capture the default pipeline collapsed, a training pipeline expanded, and the preview of a sample grid."""
    with serve(VIZ, PROJECT) as address:
        for name, query in {"default": "", "train": "?pid=train_cdcgan&expandAllPipelines=true"}.items():
            open_viz(browser, address, query, sidebar=False)
            click(browser, "button", "Dismiss")  # the notice of a new version, which it also shows offline
            save(browser, out / f"viz_{name}.png")
        open_viz(browser, address, "?pid=train_cdcgan")
        click(browser, "button", "Dismiss")
        click(browser, "button[title='cdcgan.sample_grids']")
        find(browser, ".pipeline-metadata img")
        save(browser, out / "viz_preview.png")


def capture_mlflow(browser: Chrome, out: Path) -> None:
    """Capture the list of the digits' runs, their curves, the newest run with scores and samples, and its model."""
    runs = find_trainings()
    if not runs:
        print("MLflow has no finished training: kedro run --pipelines=train_cdcgan makes one.")
        return
    experiment_id = runs[0].info.experiment_id
    experiment = f"experiments/{experiment_id}/runs"
    run = f"{experiment}/{runs[0].info.run_id}"
    with serve(MLFLOW, PROJECT) as address:
        open_mlflow(browser, address)
        browser.get(SCORES.address(address.rstrip("/"), experiment_id))
        find(browser, "a", str(runs[0].info.run_name))
        save(browser, out / "mlflow_runs.png")
        browser.get(CURVES.address(address.rstrip("/"), experiment_id))
        find(browser, ".js-line")
        save(browser, out / "mlflow_curves.png")
        open_mlflow(browser, address, run)
        find(browser, "[role=row]", "raw/fid")
        save(browser, out / "mlflow_run.png")
        open_mlflow(browser, address, f"{experiment}?compareRunsMode=CHART")
        find(browser, "input[placeholder='Search metric charts']").send_keys("samples")
        step = find(browser, "input[type=number]")  # shows step 0 at first, which has no samples
        step.send_keys(Keys.CONTROL, "a")
        step.send_keys(runs[0].data.params["epochs"], Keys.TAB)
        browser.execute_script("arguments[0].scrollIntoView()", find(browser, "img"))  # below all parameters
        save(browser, out / "mlflow_samples.png")
        for model in MlflowClient(STORE).search_logged_models([experiment_id], max_results=1):
            open_mlflow(browser, address, f"experiments/{experiment_id}/models/{model.model_id}")
            find(browser, "a", str(runs[0].info.run_name))
            save(browser, out / "mlflow_model.png")


def capture_page(browser: Chrome, out: Path, pages: Sequence[Path]) -> None:
    """Capture the newest comparison page in light and dark, as wide as a desktop window and as a phone."""
    if not pages:
        print("There is no comparison page: kedro run --pipelines=compare makes one.")
        return
    newest = max(pages, key=lambda page: page.parent.name)
    with serve(FILES, newest.parent) as address:
        for scheme in ("light", "dark"):
            browser.execute_cdp_cmd(
                "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
            )
            for device, width in {"desktop": 1200, "phone": 390}.items():
                browser.execute_cdp_cmd(
                    "Emulation.setDeviceMetricsOverride",
                    {"width": width, "height": 1200, "deviceScaleFactor": 1, "mobile": device == "phone"},
                )
                browser.get(f"{address}{newest.name}")
                find(browser, "body")
                save(browser, out / f"comparison_{scheme}_{device}.png")


def find_trainings() -> list[Run]:
    """Find the finished trainings of the digits, the newest first."""
    client = MlflowClient(STORE)
    experiment = client.get_experiment_by_name("digits")
    if experiment is None:
        return []
    query = "attributes.status = 'FINISHED' and metrics.fid > 0 and tags.training LIKE '%'"
    return list(client.search_runs([experiment.experiment_id], query))


def save(browser: Chrome, file: Path) -> None:
    """Save a screenshot once the page has settled."""
    settle(browser)
    browser.save_screenshot(str(file))
    print(file)


def main() -> None:
    """Take all screenshots."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--page", default="data/08_reporting/digits/comparison.html/*/comparison.html")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    with open_browser(1400, 1100) as browser:
        capture_viz(browser, options.out)
        capture_mlflow(browser, options.out)
        capture_page(browser, options.out, sorted(PROJECT.glob(options.page)))


if __name__ == "__main__":
    main()
