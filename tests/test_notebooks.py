"""The notebooks: committed without outputs, and executed from top to bottom after a short training."""

from __future__ import annotations

import nbformat
import pytest
from nbclient import NotebookClient

from command_line import PROJECT

NOTEBOOKS = sorted((PROJECT / "notebooks").glob("*.ipynb"))


def code_cells(path):
    notebook = nbformat.read(path, as_version=4)
    return notebook, [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_there_are_notebooks():
    assert {path.stem for path in NOTEBOOKS} == {"explore_a_dataset", "look_into_a_generator", "compare_runs"}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_committed_without_outputs(path):
    _, cells = code_cells(path)
    assert all((cell.outputs, cell.execution_count) == ([], None) for cell in cells)


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_and_shows_pictures(path, small_project):
    notebook, cells = code_cells(path)
    NotebookClient(notebook, resources={"metadata": {"path": str(small_project / "notebooks")}}).execute()
    shown = [output.get("data", {}) for cell in cells for output in cell.outputs]
    assert any("image/png" in data for data in shown)
