"""From a run to a service: the real command line, and MLflow's real server."""

from __future__ import annotations

import json
import socket
import time
import urllib.error
import urllib.request

import mlflow
import pytest

from command_line import KEDRO, kedro, latest, small
from gan_pipelines.gan import TrainedGenerator
from processes import Process

GENERATOR = "06_models/digits/cdcgan/generator.safetensors"


@pytest.fixture(scope="module")
def model(small_project):
    return latest(small_project, "06_models/digits/cdcgan/model")


@pytest.mark.integration
def test_a_training_logs_its_generator_as_a_model(small_project, model):
    client = mlflow.MlflowClient(f"sqlite:///{small_project}/mlruns/mlflow.db")
    experiment = client.get_experiment_by_name("digits").experiment_id
    training = TrainedGenerator.load(latest(small_project, GENERATOR)).training
    (logged,) = client.search_logged_models([experiment], f"source_run_id = '{training['mlflow_run_id']}'")
    run = client.get_run(training["mlflow_run_id"])
    assert [output.model_id for output in run.outputs.model_outputs] == [logged.model_id]
    metrics = {metric.key: metric for metric in logged.metrics}
    assert metrics["fid"].value == run.data.metrics["fid"]
    datasets = {each.dataset.digest for each in run.inputs.dataset_inputs}
    assert {metric.dataset_digest for metric in logged.metrics} < datasets
    card = (model / "README.md").read_text()
    assert f"- hash of the training images: `{training['data_hash']}`" in card
    assert f"| ema | fid | {run.data.metrics['fid']:.4g} |" in card


@pytest.mark.integration
def test_an_old_version_is_exported_and_scores_as_it_did(small_project, model):
    generator = latest(small_project, GENERATOR)
    versions = ",".join(f"cdcgan.{entry}:{generator.parent.name}" for entry in ("generator", "scores"))
    options = [f"--load-versions={versions}", f"--params={small('cdcgan', epochs=2)}"]
    printed = kedro(small_project, "run", "--pipelines=export_cdcgan", *options).stdout
    before, after = (
        {
            (score["metric"], score["identity"]["weights"], score["comparability"].get("class")): score["value"]
            for score in json.loads(latest(small_project, f"08_reporting/digits/cdcgan/{entry}.json").read_text())
            if score["identity"]["generator"] != "best"
        }
        for entry in ("scores", "exported_scores")
    )
    assert after.keys() == before.keys()
    assert after["fid", "ema", None] == pytest.approx(before["fid", "ema", None], rel=0.01)
    assert after["fid", "raw", None] == pytest.approx(before["fid", "raw", None], rel=0.01)
    assert f"exported, ema weights: FID {after['fid', 'ema', None]:.2f} of 40 samples" in printed
    again = latest(small_project, "06_models/digits/cdcgan/model")
    assert again != model
    assert (again / "artifacts/ema.onnx").read_bytes() == (model / "artifacts/ema.onnx").read_bytes()


@pytest.fixture(scope="module")
def served(small_project, model):
    """The address of MLflow's server, as `kedro serve` starts it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    with Process(KEDRO, "serve", "--port", port, "--version", model.parent.name, folder=small_project) as process:
        deadline = time.monotonic() + 120
        while True:
            try:
                urllib.request.urlopen(f"{address}/ping", timeout=1).close()
                break
            except OSError:
                assert time.monotonic() < deadline, process.stdout + process.stderr
                time.sleep(0.1)
        assert str(model) in process.stdout
        yield address


def post(address, body, content_type="application/json"):
    request = urllib.request.Request(f"{address}/invocations", body, {"Content-Type": content_type})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


@pytest.mark.integration
def test_the_service_answers_as_the_model_does_in_python(served, model):
    wanted = {"count": 2, "classes": ["3", "7"], "seed": 5, "truncation": 2.0, "weights": "raw"}
    status, text = post(served, json.dumps({"inputs": [wanted]}).encode())
    assert status == 200
    (answer,) = json.loads(text)["predictions"]
    (expected,) = mlflow.pyfunc.load_model(str(model)).predict([wanted])
    assert answer == expected.model_dump()
    assert answer["classes"] == ["3", "3", "7", "7"]


@pytest.mark.integration
@pytest.mark.parametrize(
    ("body", "content_type", "status", "beginning"),
    [
        (b'{"inputs": [{"count": 1000, "classes": ["3"]}]}', "application/json", 429, "One request may ask for 256"),
        (b'{"inputs": [{"classes": ["three"]}]}', "application/json", 400, "'three' is not a class of this generator"),
        (b'{"inputs": [{"secret": 1}', "application/json", 400, "The request cannot be read"),
        (b'a,b\n"secret', "text/csv", 415, "The request cannot be read"),
    ],
)
def test_the_service_refuses_with_a_sentence_and_goes_on(served, body, content_type, status, beginning):
    found, text = post(served, body, content_type)
    message = json.loads(text)["message"] if text.startswith("{") else text
    assert (found, message[: len(beginning)]) == (status, beginning)
    assert "Traceback" not in text
    assert "stack_trace" not in text
    assert "secret" not in text
    assert post(served, b'{"inputs": [{"count": 1, "classes": ["3"]}]}')[0] == 200
