"""Self-contained HTML pages: pictures, styles and scripts are in the file."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Mapping
from typing import Any

import jinja2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]
PICTURE_QUALITY = 85


def render_page(template: str, filters: Mapping[str, Callable[..., Any]], **values: Any) -> str:
    """Render a template of the package; texts are escaped.

    Args:
        template: name of its file.
        filters: functions that it uses beside ``picture``, which encodes (height, width, 3) uint8 as a data URL.
        values: what it shows.
    """
    loader = jinja2.PackageLoader("gan_pipelines.figures")
    environment = jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"picture": _picture, **filters}
    return environment.get_template(template).render(**values)


def _picture(pixels: Pixels) -> str:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "WEBP", quality=PICTURE_QUALITY)
    return f"data:image/webp;base64,{base64.b64encode(file.getvalue()).decode()}"
