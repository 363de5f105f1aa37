"""Kedro's settings of the project."""

import os
import warnings
from pathlib import Path

from omegaconf.resolvers import oc

from gan_pipelines.project.config_loader import ExperimentConfigLoader
from gan_pipelines.project.context import ProjectContext
from gan_pipelines.project.hooks import ErrorHooks, PreflightHooks, ReportHooks

# An MLflow server that does not answer is to be known soon, and MLflow does not call home. Set here, before it starts
# threads: a change of the environment beside a thread that reads it can crash the process.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

# Kedro and kedro-mlflow call OmegaConf in a way that its newest release warns of, ten lines a run.
warnings.filterwarnings("ignore", message="register_new_resolver", category=UserWarning)

HOOKS = (ErrorHooks(), PreflightHooks(), ReportHooks())

CONTEXT_CLASS = ProjectContext
CONFIG_LOADER_CLASS = ExperimentConfigLoader
CONFIG_LOADER_ARGS = {
    "base_env": "base",
    "default_run_env": "local",
    "merge_strategy": {"globals": "soft", "mlflow": "soft"},
    "custom_resolvers": {
        "oc.env": oc.env,
        # MLflow's addresses do not depend on the folder that a command is started from.
        "project_root": Path(__file__).resolve().parents[2].as_posix,
    },
}
