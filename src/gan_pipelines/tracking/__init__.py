"""What MLflow gets to see of a run, beside what kedro-mlflow logs by itself."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
