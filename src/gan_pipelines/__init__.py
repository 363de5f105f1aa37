"""Train GANs, score them, and find out whether their images help a classifier."""

__version__ = "0.2.0.dev0"
