"""The MLflow run of a Kedro run: live metrics, parameters, files, results, and its end."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
