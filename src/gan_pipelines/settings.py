"""Kedro settings of the project."""

import logging
import os
import warnings

from omegaconf.resolvers import oc

from gan_pipelines.project.config_loader import ExperimentConfigLoader
from gan_pipelines.project.context import ProjectContext
from gan_pipelines.project.hooks import PreflightHooks, SummaryHooks
from gan_pipelines.project.plugins import defer_mlflow_commands
from gan_pipelines.project.session import ProjectSession
from gan_pipelines.tracking.hooks import TrackingHooks

defer_mlflow_commands()

# A server that does not answer is noticed soon, and MLflow sends no telemetry. Set before MLflow starts threads:
# changing the environment while another thread reads it can crash the process.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")  # it is for the three files of a model

# Kedro and kedro-mlflow cause ten lines of OmegaConf warnings in each run.
warnings.filterwarnings("ignore", message="register_new_resolver", category=UserWarning)

# MLflow warns of a class of kedro-mlflow before every command. It resets the filters of warnings, not those of loggers.
logging.captureWarnings(True)
logging.getLogger("py.warnings").addFilter(lambda record: "Add type hints to the `predict`" not in record.getMessage())

# Of two hooks of a kind, the later one comes first: the project's path is checked before MLflow's settings are read.
tracking = TrackingHooks()
HOOKS = (tracking, PreflightHooks(), SummaryHooks(tracking))

SESSION_CLASS = ProjectSession
CONTEXT_CLASS = ProjectContext
CONFIG_LOADER_CLASS = ExperimentConfigLoader
CONFIG_LOADER_ARGS = {
    "base_env": "base",
    "default_run_env": "local",
    "merge_strategy": {"globals": "soft", "mlflow": "soft"},
    "config_patterns": {"mlflow": ["mlflow*", "mlflow*/**", "**/mlflow*"]},
    "custom_resolvers": {"oc.decode": oc.decode, "oc.env": oc.env},
}
