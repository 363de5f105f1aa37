"""Runs the installed package, ``python -m gan_pipelines``, as ``kedro run`` runs the project.

The project is then the working directory: ``conf`` is read there, and ``data`` and ``mlruns`` are written there.
"""

from __future__ import annotations

from kedro.framework.project import configure_project


def main() -> None:
    """Run a pipeline; the options are those of ``kedro run``."""
    configure_project("gan_pipelines")
    from gan_pipelines.cli import run  # noqa: PLC0415 (it needs the settings)

    run()


if __name__ == "__main__":
    main()
