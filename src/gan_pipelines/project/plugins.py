"""Plugins of Kedro, loaded when they are needed."""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType

import click

MLFLOW_COMMANDS = "kedro_mlflow.framework.cli.cli"
"""Module of kedro-mlflow with its commands."""


class MlflowCommands(click.Group):
    """The commands of kedro-mlflow, whose module is imported to run or to describe them only."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """List the one name that kedro-mlflow adds to Kedro's."""
        return ["mlflow"]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command ``mlflow``."""
        if cmd_name not in self.list_commands(ctx):
            return None
        del sys.modules[MLFLOW_COMMANDS]
        return import_module(MLFLOW_COMMANDS).mlflow_commands


def defer_mlflow_commands() -> None:
    """Let kedro-mlflow's commands be imported late.

    Kedro imports the commands of all plugins for any command, and these import MLflow, which takes two seconds. A
    module in ``sys.modules`` stands for them; it has to be there before Kedro loads plugins, just after the settings.
    """
    stand_in = ModuleType(MLFLOW_COMMANDS)
    vars(stand_in)["commands"] = MlflowCommands("Mlflow")
    sys.modules.setdefault(MLFLOW_COMMANDS, stand_in)
