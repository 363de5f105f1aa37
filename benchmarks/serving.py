"""Measure a generator as a service: sizes, starts, latency beside PyTorch, many clients at once, and random requests.

    python benchmarks/serving.py MODEL ROWS [--rounds 300] [--clients 200] [--seconds 60] [--bodies 1000]

MODEL is what a training has left in the catalog, such as data/06_models/digits/cdcgan/model/<version>/model. It is
served in a fresh virtual environment with nothing but its own requirements. Latencies of onnxruntime and of PyTorch,
without torch.compile, are measured in turns, with as many threads as PyTorch chooses. Adds rows to ROWS, a CSV, after
each measurement.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import random
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pandas as pd
import psutil
import torch

from gan_pipelines.core.files import count_bytes
from gan_pipelines.core.pixels import to_uint8
from gan_pipelines.gan import TrainedGenerator

MEBIBYTE = 2**20
START_SECONDS = 300
"""Maximum time until a server answers."""
FIRST_IMAGE = """
import sys
import mlflow
(answer,) = mlflow.pyfunc.load_model(sys.argv[1]).predict([{"count": 1}])
assert answer.images
"""
ONE_IMAGE = json.dumps({"inputs": [{"count": 1}]}).encode()
JSON = {"Content-Type": "application/json"}


class Rows:
    """A CSV that grows by one row for each number."""

    def __init__(self, path: Path, model: Path) -> None:
        self.path = path
        self.model = model
        path.parent.mkdir(parents=True, exist_ok=True)

    def add(self, what: str, value: float, unit: str, **details: Any) -> None:
        """Add a row."""
        row = {
            "measured": date.today(),
            "model": f"{self.model.parents[2].name} {self.model.parent.name}",
            "what": what,
            "value": round(value, 4),
            "unit": unit,
            "details": json.dumps(details),
        }
        pd.DataFrame([row]).to_csv(self.path, mode="a", index=False, header=not self.path.exists())
        print("  ".join(map(str, row.values())), flush=True)

    def add_latencies(self, what: str, seconds: list[float], **details: Any) -> None:
        """Add median and 99th percentile in milliseconds."""
        for name, share in (("p50", 50), ("p99", 99)):
            self.add(f"{what} {name}", 1000 * float(np.percentile(seconds, share)), "ms", calls=len(seconds), **details)


def make_environment(folder: Path, model: Path, rows: Rows) -> Path:
    """Make a virtual environment with the requirements of a model; return its folder of programs."""
    started = time.perf_counter()
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    programs = folder / "bin"
    subprocess.run([programs / "pip", "install", "--quiet", "-r", model / "requirements.txt"], check=True)
    rows.add("installation", time.perf_counter() - started, "s")
    rows.add("environment", count_bytes(folder) / MEBIBYTE, "MiB")
    return programs


def make_variables(programs: Path) -> dict[str, str]:
    """Variables of the environment for programs there, which then see nothing of this project."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return {
        **kept,
        "PATH": f"{programs}{os.pathsep}{kept['PATH']}",
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }


@contextmanager
def serving(programs: Path, model: Path, rows: Rows) -> Iterator[tuple[int, psutil.Process]]:
    """MLflow's server in an environment: its port and its process. Adds the time until its first image."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = ["models", "serve", "-m", model, "--host", "127.0.0.1", "--port", port, "--env-manager", "local"]
    started = time.perf_counter()
    with tempfile.TemporaryFile() as log:
        command = [programs / "mlflow", *map(str, words)]
        server = subprocess.Popen(command, env=make_variables(programs), stdout=log, stderr=log, cwd="/")
        try:
            while post(port, ONE_IMAGE)[0] != 200:
                if time.perf_counter() - started > START_SECONDS or server.poll() is not None:
                    log.seek(0)
                    raise SystemExit(log.read().decode())
                time.sleep(0.05)
            rows.add("start of the server until its first image", time.perf_counter() - started, "s")
            yield port, psutil.Process(server.pid)
        finally:
            server.terminate()
            server.wait()


def post(
    port: int, body: bytes, headers: Mapping[str, str] = JSON, connection: http.client.HTTPConnection | None = None
) -> tuple[int, str]:
    """Send a request; return status and text of the answer, status 0 if there is none."""
    connection = connection or http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("POST", "/invocations", body, dict(headers))
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    except OSError as error:
        connection.close()
        return 0, repr(error)


def measure_latency(model: Path, rows: Rows, rounds: int) -> None:
    """Measure onnxruntime and PyTorch in turns, for one image and for 64."""
    description = json.loads((model / "artifacts/description.json").read_text())
    version = description["version"]
    generator = TrainedGenerator.load(model.parents[2] / "generator.safetensors" / version / "generator.safetensors")
    network = generator.network()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(model / "artifacts/ema.onnx", options, providers=["CPUExecutionProvider"])
    for count in (1, 64):
        latents = torch.randn(count, description["latent_size"])
        labels = torch.arange(count) % max(1, len(generator.class_names))
        inputs = {"latents": latents.numpy()} | ({"labels": labels.numpy()} if generator.is_conditional else {})

        def in_onnxruntime(inputs: Mapping[str, Any] = inputs) -> Any:
            return session.run(None, inputs)[0]

        def in_pytorch(latents: torch.Tensor = latents, labels: torch.Tensor = labels) -> Any:
            with torch.inference_mode():
                return to_uint8(network(latents, labels)).numpy()

        difference = np.abs(in_onnxruntime().astype(int) - in_pytorch()).max()
        times = take_turns({"onnxruntime": in_onnxruntime, "PyTorch": in_pytorch}, rounds)
        for name, seconds in times.items():
            rows.add_latencies(f"{count} images, {name}", seconds, threads=torch.get_num_threads())
        ratios = [other / own for own, other in zip(times["onnxruntime"], times["PyTorch"], strict=True)]
        rows.add(
            f"{count} images, PyTorch / onnxruntime", statistics.median(ratios), "times", grey_levels=int(difference)
        )


def take_turns(calls: Mapping[str, Callable[[], Any]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each call, round by round, after a few that do not count."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for number in range(rounds + 5):
        for name, call in calls.items():
            started = time.perf_counter()
            call()
            if number >= 5:
                times[name].append(time.perf_counter() - started)
    return times


def measure_requests(port: int, rows: Rows, rounds: int) -> None:
    """Measure requests one after another, for one image and for 64 of one class."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    for count in (1, 64):
        body = json.dumps({"inputs": [{"count": count, "seed": 0, **one_class(port)}]}).encode()
        times = take_turns({"request": lambda body=body: post(port, body, connection=connection)}, rounds)
        rows.add_latencies(f"{count} images, request", times["request"])


def one_class(port: int) -> dict[str, list[str]]:
    """The part of a request that asks for one class, if the generator knows any."""
    (answer,) = json.loads(post(port, ONE_IMAGE)[1])["predictions"]
    return {"classes": answer["classes"][:1]} if answer["classes"] else {}


def measure_clients(port: int, server: psutil.Process, rows: Rows, clients: int, seconds: float) -> None:
    """Let many clients ask for one image again and again; count answers by status, and compare the server's memory."""
    before = resident_bytes(server)
    until = time.perf_counter() + seconds
    body = json.dumps({"inputs": [{"count": 1, **one_class(port)}]}).encode()

    def ask_again(_: int) -> tuple[Counter[int], list[float]]:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        statuses, times = Counter[int](), []
        while (started := time.perf_counter()) < until:
            statuses[post(port, body, connection=connection)[0]] += 1
            times.append(time.perf_counter() - started)
        return statuses, times

    with ThreadPoolExecutor(clients) as pool:
        found = list(pool.map(ask_again, range(clients)))
    statuses = sum((each for each, _ in found), Counter[int]())
    after = resident_bytes(server)
    rows.add("answers", statuses[200] / seconds, "1/s", clients=clients, seconds=seconds)
    rows.add("errors", sum(statuses.values()) - statuses[200], "", statuses=dict(statuses))
    rows.add_latencies(f"{clients} clients", [value for _, times in found for value in times])
    for when, value in (("before", before), ("after", after)):
        rows.add(f"memory of the server {when}", value / MEBIBYTE, "MiB", clients=clients)


def resident_bytes(process: psutil.Process) -> int:
    """Resident memory of a process and those that it has started."""
    return sum(each.memory_info().rss for each in (process, *process.children(recursive=True)))


def measure_random_requests(port: int, rows: Rows, bodies: int) -> None:
    """Send random bodies; count those after which the server is gone, or whose answer has a stack trace."""
    draws, statuses, traces = random.Random(0), Counter[int](), 0
    for _ in range(bodies):
        body, content_type = make_body(draws)
        status, text = post(port, body, {"Content-Type": content_type})
        statuses[status] += 1
        traces += any(word in text for word in ("Traceback", "stack_trace", ".py"))
    rows.add("random requests without an answer", statuses[0], "", bodies=bodies, statuses=dict(statuses))
    rows.add("stack traces in answers", traces, "", bodies=bodies)
    rows.add("status after all that", post(port, ONE_IMAGE)[0], "")


def make_body(draws: random.Random) -> tuple[bytes, str]:
    """A random body: JSON that is nearly right, cut off or with other bytes in it, or nothing but bytes."""
    content_type = draws.choice(["application/json"] * 6 + ["text/csv", "application/x-parquet", "", "a/b; charset=x"])
    if draws.random() < 0.2:
        return draws.randbytes(draws.randrange(2000)), content_type
    key = draws.choice(["inputs", "inputs", "inputs", "instances", "dataframe_split", "dataframe_records", "messages"])
    body = bytearray(json.dumps({key: make_value(draws)}).encode())
    if draws.random() < 0.3:
        del body[draws.randrange(len(body)) :]
    for _ in range(draws.choice([0, 0, 1, 5])):
        if body:
            body[draws.randrange(len(body))] = draws.randrange(256)
    return bytes(body), content_type


def make_value(draws: random.Random, depth: int = 0) -> Any:
    """A random value of JSON, with names of settings."""
    if depth < 4 and draws.random() < 0.6:
        values = [make_value(draws, depth + 1) for _ in range(draws.randrange(5))]
        names = ["count", "classes", "seed", "truncation", "weights", "latents", "format", "self", "columns", "data"]
        return values if draws.random() < 0.5 else {draws.choice(names): value for value in values}
    plain = [None, True, 0, 1, 3, -1, 10**400, 1e308, float("nan"), float("inf"), "", "ema", "0", "\ud800", "x" * 3000]
    return draws.choice(plain)


def main() -> None:
    """Measure everything, one after another."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("rows", type=Path)
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--bodies", type=int, default=1000)
    options = parser.parse_args()
    model, rows = options.model.absolute(), Rows(options.rows, options.model.absolute())
    rows.add("model", count_bytes(model) / MEBIBYTE, "MiB")
    scratch = Path(tempfile.mkdtemp())
    try:
        programs = make_environment(scratch / "environment", model, rows)
        for when in ("first", "second"):
            started = time.perf_counter()
            command = [programs / "python", "-c", FIRST_IMAGE, model]
            subprocess.run(command, check=True, env=make_variables(programs), cwd=scratch)
            rows.add(f"{when} start of Python until its first image", time.perf_counter() - started, "s")
        measure_latency(model, rows, options.rounds)
        with serving(programs, model, rows) as (port, server):
            measure_requests(port, rows, options.rounds)
            measure_clients(port, server, rows, options.clients, options.seconds)
            measure_random_requests(port, rows, options.bodies)
    finally:
        shutil.rmtree(scratch)


if __name__ == "__main__":
    main()
