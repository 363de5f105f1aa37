"""A process that has loaded the libraries, and forks a child for each script that it is asked to run.

Each child is what `python` with this script would be, a process of its own from its first line to its exit code, but
for the seconds in which PyTorch and MLflow are imported. The project's own code is imported by the child, and so is
what Kedro configures as it is imported.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import signal
import sys
import types
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
    "mlflow.pyfunc.scoring_server",
    "mlflow.server.handlers",
    "mlflow.store.tracking.sqlalchemy_store",
    "mlflow.tracing.processor.base_mlflow",
    "mlflow.tracking",
    "networkx",
    "omegaconf",
    "onnxscript.function_libs.torch_lib.ops",
    "pandas",
    "scipy.stats",
    "sklearn.datasets",
    "sklearn.neighbors",
    "sympy.combinatorics",
    "torch._dynamo",
    "torch.onnx._internal.exporter._compat",
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
    """Answer each line of stdin: with the id of the process that was started, or the exit code of one that ended."""
    warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)  # Arrow's, at rest
    print("ready", flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        if "wait" in request:
            _, status = os.waitpid(request["wait"], 0)
            print(os.waitstatus_to_exitcode(status), flush=True)
        elif child := os.fork():
            print(child, flush=True)
        else:
            return become(**request)
    return None


def become(arguments, folder, env, stdout, stderr):
    """Run a script, or the code after ``-c``, as `python` would."""
    os.environ.clear()
    os.environ.update(env)
    os.chdir(folder)
    for number, path in enumerate((os.devnull, stdout, stderr)):
        os.dup2(os.open(path, os.O_RDWR | os.O_CREAT), number)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # under nohup it is ignored, and children inherit that
    script, *words = arguments
    main = sys.modules["__main__"] = types.ModuleType("__main__")
    if script == "-c":
        beside, (code, *words) = "", words
    else:  # not by runpy, whose frames have no file: dynaconf would look for it in thousands of modules
        beside, main.__file__ = str(Path(script).parent), script
        code = compile(Path(script).read_bytes(), script, "exec")
    paths = [path for path in env.get("PYTHONPATH", "").split(os.pathsep) if path]
    sys.argv, sys.path[0:1] = [script, *words], [beside, *paths]
    exec(code, main.__dict__)


if __name__ == "__main__":
    load_libraries()
    serve()
