from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from kedro.framework.context import KedroContext

from gan_pipelines.project.context import ProjectContext

SAME = "2026-01-01T00.00.00.000Z"


def make_context(folder):
    return ProjectContext(folder, {}, None, "gan_pipelines", None)


def test_runs_that_start_in_the_same_millisecond_have_different_versions(tmp_path, monkeypatch):
    monkeypatch.setattr(KedroContext, "_get_catalog", lambda *arguments: arguments[2])
    contexts = [make_context(tmp_path) for _ in range(12)]
    with ThreadPoolExecutor(4) as threads:
        versions = [*threads.map(lambda context: context._get_catalog(save_version=SAME), contexts)]
    assert len(set(versions)) == len(contexts)
    assert all(len(version) == len(SAME) and version > SAME for version in versions)


def test_a_catalog_of_no_run_has_no_version(tmp_path, monkeypatch):
    monkeypatch.setattr(KedroContext, "_get_catalog", lambda *arguments: arguments[2])
    assert make_context(tmp_path)._get_catalog() is None
