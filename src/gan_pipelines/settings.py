"""Kedro's settings of the project."""

from pathlib import Path

from omegaconf.resolvers import oc

from gan_pipelines.hooks import ErrorHooks, PreflightHooks, ReportHooks

HOOKS = (ErrorHooks(), PreflightHooks(), ReportHooks())

CONFIG_LOADER_ARGS = {
    "base_env": "base",
    "default_run_env": "local",
    "custom_resolvers": {
        "oc.env": oc.env,
        # MLflow's addresses do not depend on the folder that a command is started from.
        "project_root": Path(__file__).resolve().parents[2].as_posix,
    },
}
