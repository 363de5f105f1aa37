from __future__ import annotations

import matplotlib.pyplot as plt
import pandas as pd
import pytest
from kedro.io import DatasetError, Version

from gan_pipelines.datasets import CSVDataset, JSONDataset, MatplotlibDataset

VERSION = Version(None, "2026-01-01T00.00.00.000Z")


@pytest.mark.parametrize("version", [None, VERSION])
def test_what_is_saved_can_be_loaded(tmp_path, version):
    json = JSONDataset(filepath=str(tmp_path / "scores.json"), version=version)
    json.save({"fid": 3.5})
    assert json.load() == {"fid": 3.5}
    csv = CSVDataset(filepath=str(tmp_path / "history.csv"), save_args={"index": False}, version=version)
    csv.save(pd.DataFrame({"epoch": [1, 2]}))
    assert csv.load()["epoch"].tolist() == [1, 2]
    assert csv.exists()


def test_a_version_lies_where_kedro_puts_it(tmp_path):
    JSONDataset(filepath=str(tmp_path / "scores.json"), version=VERSION).save({})
    (file,) = (path for path in tmp_path.rglob("*") if path.is_file())
    assert file == tmp_path / "scores.json" / VERSION.save / "scores.json"


def test_a_figure_is_a_picture(tmp_path):
    figure = plt.figure()
    MatplotlibDataset(filepath=str(tmp_path / "curves.png"), version=VERSION).save(figure)
    plt.close(figure)
    assert (tmp_path / "curves.png" / VERSION.save / "curves.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("version", [None, VERSION])
def test_a_save_that_stops_in_the_middle_leaves_nothing(tmp_path, version):
    dataset = JSONDataset(filepath=str(tmp_path / "scores.json"), version=version)
    with pytest.raises(DatasetError, match="is not JSON serializable"):
        dataset.save({"written": 1, "not written": object()})
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    assert not dataset.exists()
