"""Generative adversarial networks in plain PyTorch, without Kedro and MLflow.

Names are imported on first use, so that listing the project's pipelines does not load PyTorch.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
