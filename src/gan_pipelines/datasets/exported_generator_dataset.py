"""Exported generators in the catalog."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

from gan_pipelines.datasets.local_versioned import LocalVersionedDataset
from gan_pipelines.serving import CODE, REQUIREMENTS, ExportedGenerator

ARTIFACTS = "artifacts"
"""Folder of a model into which MLflow copies the files that its code needs."""
CARD_FILE = "README.md"


class ExportedGeneratorDataset(LocalVersionedDataset[ExportedGenerator]):
    """An `ExportedGenerator` as an MLflow model: a folder that ``mlflow models serve`` and ``mlflow.pyfunc`` read.

    It holds the code that serves it, the ONNX networks, the versions of the packages that this code needs, the types of
    a request, an example of one, and the model card. Nothing in it is unpickled.

    Example in the catalog::

        "{variant}.model":
          type: gan_pipelines.datasets.ExportedGeneratorDataset
          filepath: data/06_models/{variant}/model
          versioned: true

    Example in Python::

        import mlflow

        (answer,) = mlflow.pyfunc.load_model("data/06_models/.../model").predict([{"count": 4}])
    """

    def write(self, data: ExportedGenerator, path: Path) -> None:
        """Write a folder."""
        import mlflow  # noqa: PLC0415 (takes seconds to load)

        with TemporaryDirectory() as folder:
            files = {Path(folder, name): content for name, content in data.list_files().items()}
            for file, content in files.items():
                file.write_bytes(content)
            mlflow.pyfunc.save_model(
                path,
                python_model=str(CODE),
                artifacts={file.stem: str(file) for file in files},
                pip_requirements=[f"{name}=={version(name)}" for name in REQUIREMENTS],
                input_example=data.input_example,
            )
        (path / CARD_FILE).write_text(data.card, encoding="utf-8")

    def load(self) -> ExportedGenerator:
        """Read the generator. Raises `kedro.io.DatasetError` if there is none."""
        path = Path(self._get_load_path())
        return ExportedGenerator.read(path / ARTIFACTS, (path / CARD_FILE).read_text(encoding="utf-8"))
