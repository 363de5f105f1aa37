"""The generator as a model that others can use, without this project and without PyTorch.

Names are imported on first use, so that listing the project's pipelines loads neither PyTorch nor ONNX.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
