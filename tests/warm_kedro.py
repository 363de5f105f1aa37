"""A process that has loaded the libraries, and forks a child for each `kedro` command that it is asked for.

Each child is what the console script would be, a process of its own from `main` to its exit code, but for the seconds
in which PyTorch and MLflow are imported. The project's own code is imported by the child, and so is what Kedro
configures as it is imported.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import sys
import warnings
from pathlib import Path

LIBRARIES = [
    "IPython",
    "dynaconf",
    "git",
    "kedro.io",
    "kedro_datasets.pandas",
    "matplotlib.pyplot",
    "mlflow.artifacts",
    "mlflow.store.tracking.sqlalchemy_store",
    "mlflow.tracking",
    "omegaconf",
    "pandas",
    "scipy.stats",
    "sklearn.datasets",
    "sklearn.neighbors",
    "torch._dynamo",
    "torch_fidelity.feature_extractor_inceptionv3",
    "torchvision.datasets",
    "tqdm",
]
CONFIGURED_AT_IMPORT = ("gan_pipelines", "kedro.framework.project", "kedro_mlflow")


def load_libraries():
    sys.modules["triton"] = None  # for GPUs; at the end of a child it would report all that is frozen here as leaks
    for name in LIBRARIES:
        importlib.import_module(name)
    del sys.modules["triton"]
    assert not {*CONFIGURED_AT_IMPORT} & sys.modules.keys()
    gc.freeze()  # children end without going through it all


def serve():
    """Run each command that a line of stdin asks for, and answer with its exit code."""
    warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)  # Arrow's, at rest
    print("ready", flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        child = os.fork()
        if not child:
            return become_kedro(**request)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)
    return None


def become_kedro(script, arguments, folder, env, stdout, stderr):
    os.environ.clear()
    os.environ.update(env)
    os.chdir(folder)
    for number, path in enumerate((os.devnull, stdout, stderr)):
        os.dup2(os.open(path, os.O_RDWR | os.O_CREAT), number)
    sys.argv = [script, *arguments]
    sys.path[0] = str(Path(script).parent)
    from kedro.framework.cli.cli import main  # noqa: PLC0415 (it configures logging, as the folder says)

    main()


if __name__ == "__main__":
    load_libraries()
    serve()
