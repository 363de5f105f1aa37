"""How generators are exported."""

from __future__ import annotations

from gan_pipelines.core.config import Switch, Texts, config, require

RESERVED = "/:.%\"'"
"""Characters that MLflow does not allow in the name of a model."""


@config
class ExportConfig:
    """The model that a training leaves in MLflow: its place in the registry, and what its card says.

    Attributes:
        registered_model_name: name in MLflow's model registry, under which each logged model becomes a version; null
            registers none.
        champion: give the alias ``champion`` to the registered version with the lowest FID among those whose scores may
            be compared.
        licence: of the model, for its card.
        intended_use: of the images, for the card.
        known_failures: for the card, besides the flags of its scores.
    """

    registered_model_name: str | None = None
    champion: Switch = False
    licence: str | None = None
    intended_use: str | None = None
    known_failures: Texts = ()

    def __post_init__(self) -> None:
        name = self.registered_model_name
        is_name = name is None or (bool(name.strip()) and not set(name) & set(RESERVED))
        require(is_name, "registered_model_name", name, f"a name without the characters {' '.join(RESERVED)}")
        require(name is not None or not self.champion, "champion", True, "false without a registered_model_name")
