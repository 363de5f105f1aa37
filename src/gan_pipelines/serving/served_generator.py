"""The generator as MLflow serves it: a copy of this file is in each model, and needs nothing else of the project.

MLflow runs it as it loads a model ("models from code"), so nothing is unpickled. A request asks for images by number,
classes and seed, or gives the latents itself; `Request` lists its settings.
"""

from __future__ import annotations

import base64
import difflib
import io
import json
import logging
import reprlib
import sys
from collections.abc import Callable, Iterator
from functools import wraps
from pathlib import Path
from statistics import NormalDist
from typing import Any, Final, NamedTuple, NoReturn

import mlflow
import numpy as np
import onnxruntime
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INTERNAL_ERROR, INVALID_PARAMETER_VALUE, REQUEST_LIMIT_EXCEEDED, ErrorCode
from mlflow.pyfunc import scoring_server
from mlflow.pyfunc.model import PythonModel, PythonModelContext
from numpy.typing import NDArray
from PIL import Image
from pydantic import BaseModel, ConfigDict, SkipValidation

logger = logging.getLogger(__name__)

MAX_IMAGES: Final = 256
"""Maximum number of images of one HTTP request."""
MAX_PIXELS: Final = 2**22
"""Maximum number of pixels of all these images: 256 images of 128x128."""
BATCH: Final = 32
"""Images that are computed at once; more would take memory, and no less time."""
PROVIDERS: Final = ["CPUExecutionProvider"]
WEIGHT_SETS: Final = ("ema", "raw")
FORMATS: Final = ("png", "array")
LARGEST_SHARE: Final = 1 - np.finfo(float).epsneg
"""The largest number below 1."""
UNREADABLE: Final = 'The request cannot be read; send JSON, as application/json, such as {"inputs": [{"count": 1}]}.'
FAILED: Final = "The images could not be made; the server's log says why."


class Request(BaseModel):
    """Images to make. All settings may be left out; with none, there is one image of each class.

    MLflow reads the types here for the signature. The values are checked in `check`: pydantic's errors would quote the
    whole request.

    Attributes:
        count: number of images of each class; in all, if the generator knows no classes.
        classes: names of classes; null for all.
        seed: of NumPy's random generator, which draws the latents; null draws a seed, and the answer has it.
        truncation: bound on the absolute value of each latent coordinate; null does not truncate.
        weights: ``ema`` or ``raw``.
        latents: latents to use in place of ``count``, ``seed`` and ``truncation``: a list of lists of numbers.
        format: ``png``, or ``array`` for grey levels of 0 to 255, by row, column and channel.
    """

    model_config = ConfigDict(extra="allow")

    count: SkipValidation[int | None] = None
    classes: SkipValidation[list[str] | None] = None
    seed: SkipValidation[int | None] = None
    truncation: SkipValidation[float | None] = None
    weights: SkipValidation[str | None] = None
    latents: SkipValidation[list[list[float]] | None] = None
    format: SkipValidation[str | None] = None


class Answer(BaseModel):
    """Images, class by class; each class has the same latents.

    Attributes:
        seed: that of the latents; null if the request had latents.
        classes: the class of each image; null if the generator knows no classes.
        images: PNG files in base64, or null.
        arrays: grey levels of each image (height, width, channels), or null.
    """

    seed: int | None = None
    classes: list[str] | None = None
    images: list[str] | None = None
    arrays: SkipValidation[list[list[list[list[int]]]] | None] = None


class RequestRefused(MlflowException):
    """A request that is not answered, with a sentence of this file. MLflow's server puts the request in front of it."""

    def __init__(self, sentence: str, code: int = INVALID_PARAMETER_VALUE) -> None:
        super().__init__(sentence, error_code=code)
        self.sentence = sentence


class Order(NamedTuple):
    """A request that has been checked: which images to make.

    Attributes:
        latents: (N, latent_size) float32.
        labels: indices of classes, each of which gets all latents; None if the generator knows no classes.
        weights: set of weights.
        format: of the images.
        seed: of the latents, or None.
    """

    latents: NDArray[np.float32]
    labels: list[int] | None
    weights: str
    format: str
    seed: int | None

    def __len__(self) -> int:
        """Number of images."""
        return len(self.latents) * (1 if self.labels is None else len(self.labels))


class ServedGenerator(PythonModel):
    """Makes images with onnxruntime, NumPy and Pillow."""

    def load_context(self, context: PythonModelContext) -> None:
        """Open the networks. In MLflow's server, have failures answered with a sentence."""
        description = json.loads(Path(context.artifacts["description"]).read_text())
        self.latent_size: int = description["latent_size"]
        self.class_names: list[str] | None = description["class_names"] if description["is_conditional"] else None
        _, height, width = description["image_shape"]
        self.max_images = max(1, min(MAX_IMAGES, MAX_PIXELS // (height * width)))
        self.sessions = {
            weights: onnxruntime.InferenceSession(context.artifacts[weights], providers=PROVIDERS)
            for weights in WEIGHT_SETS
        }
        if "mlflow.pyfunc.scoring_server.app" in sys.modules:
            scoring_server.invocations = answer_in_sentences(scoring_server.invocations)

    def predict(self, model_input: list[Request]) -> list[Answer]:  # type: ignore[override]  # MLflow allows it
        """Make the images of all requests, in order.

        Raises:
            RequestRefused: with status 400 if a setting is wrong, 429 if these are too many images, and 500 if they
                could not be made.
        """
        try:
            allowed = self.max_images
            orders = []
            for request in model_input:
                orders.append(self.check(request, allowed))
                allowed -= len(orders[-1])
            return [self.fill(order) for order in orders]
        except RequestRefused:
            raise
        except Exception as error:
            logger.exception("A request has failed")
            raise RequestRefused(FAILED, INTERNAL_ERROR) from error

    def check(self, request: Request, allowed: int) -> Order:
        """Check a request. Raises `RequestRefused` if a setting is wrong, or it asks for more images than allowed."""
        for name in request.model_extra or ():
            known = ", ".join(Request.model_fields)
            refuse(f"{reprlib.repr(name)} is not a setting of a request; known are {known}.")
        weights = choose("weights", request.weights, WEIGHT_SETS)
        form = choose("format", request.format, FORMATS)
        labels = self._find_labels(request.classes, allowed)
        of_each = allowed if labels is None else allowed // len(labels)
        if request.latents is not None:
            return Order(self._read_latents(request, of_each), labels, weights, form, None)
        seed, latents = self._draw_latents(request, of_each)
        return Order(latents, labels, weights, form, seed)

    def _find_labels(self, classes: Any, allowed: int) -> list[int] | None:
        if self.class_names is None:
            require(classes is None, "classes", classes, "left out: this generator knows no classes")
            return None
        if classes is None:
            return list(range(len(self.class_names)))
        is_list = isinstance(classes, list) and len(classes) > 0 and all(isinstance(name, str) for name in classes)
        require(is_list, "classes", classes, "a list of one name or more")
        self._bound(len(classes), allowed)
        for name in classes:
            if name not in self.class_names:
                near = difflib.get_close_matches(name[:100], self.class_names, n=1) or self.class_names[:20]
                refuse(f"{reprlib.repr(name)} is not a class of this generator; it knows {', '.join(near)}.")
        return [self.class_names.index(name) for name in classes]

    def _draw_latents(self, request: Request, of_each: int) -> tuple[int, NDArray[np.float32]]:
        """The seed, and (count, latent_size) latents."""
        count = 1 if request.count is None else request.count
        require(is_whole(count) and count >= 1, "count", count, "a whole number, 1 or more")
        self._bound(count, of_each)
        seed = int(np.random.default_rng().integers(2**32)) if request.seed is None else request.seed
        require(is_whole(seed) and 0 <= seed < 2**63, "seed", seed, "a whole number from 0 to 2^63 - 1")
        truncation = request.truncation
        is_bound = truncation is None or (is_finite(truncation) and truncation > 0)
        require(is_bound, "truncation", truncation, "a finite number greater than 0")
        return seed, draw_latents(seed, (count, self.latent_size), truncation)

    def _read_latents(self, request: Request, of_each: int) -> NDArray[np.float32]:
        """The (N, latent_size) latents of a request."""
        for name in ("count", "seed", "truncation"):
            require(getattr(request, name) is None, name, getattr(request, name), "left out beside latents")
        latents, size = request.latents, self.latent_size
        allowed = f"a list of lists of {size} finite numbers"
        if not isinstance(latents, list) or not latents:
            refuse(f"latents is {reprlib.repr(latents)}, but must be {allowed}.")
        self._bound(len(latents), of_each)
        for latent in latents:
            is_latent = isinstance(latent, list) and len(latent) == size and all(map(is_finite, latent))
            require(is_latent, "a latent", latent, allowed)
        with np.errstate(over="ignore"):
            values = np.array(latents, np.float64).astype(np.float32)
        require(bool(np.isfinite(values).all()), "latents", latents, allowed)
        return values

    def _bound(self, count: int, of_each: int) -> None:
        """Refuse a request for more images of each class than it may have."""
        if count > of_each:
            bound = (
                f"One request may ask for {self.max_images} images, of all its classes together; send several requests."
            )
            refuse(bound, REQUEST_LIMIT_EXCEEDED)

    def fill(self, order: Order) -> Answer:
        """Make the images of a checked request."""
        images = np.concatenate(list(self._compute(order))).transpose(0, 2, 3, 1)
        return Answer(
            seed=order.seed,
            classes=self._name_classes(order),
            images=[to_png(image) for image in images] if order.format == "png" else None,
            arrays=images.tolist() if order.format == "array" else None,
        )

    def _name_classes(self, order: Order) -> list[str] | None:
        """The class of each image."""
        if order.labels is None or self.class_names is None:
            return None
        return [self.class_names[label] for label in order.labels for _ in order.latents]

    def _compute(self, order: Order) -> Iterator[NDArray[np.uint8]]:
        """Batches of images (N, C, H, W) uint8."""
        session = self.sessions[order.weights]
        repeats = 1 if order.labels is None else len(order.labels)
        inputs = {"latents": np.tile(order.latents, (repeats, 1))}
        if order.labels is not None:
            inputs["labels"] = np.repeat(np.array(order.labels, np.int64), len(order.latents))
        for start in range(0, len(order), BATCH):
            yield session.run(None, {name: values[start : start + BATCH] for name, values in inputs.items()})[0]


def draw_latents(seed: int, shape: tuple[int, int], truncation: float | None) -> NDArray[np.float32]:
    """Draw latents from N(0, 1), or from N(0, 1) truncated at an absolute value, with NumPy's random generator."""
    draws = np.random.default_rng(seed)
    if truncation is None:
        return draws.standard_normal(shape, np.float32)
    normal = NormalDist()
    shares = draws.uniform(normal.cdf(-truncation), normal.cdf(truncation), shape)
    quantiles = np.vectorize(normal.inv_cdf, otypes=[np.float32])
    return quantiles(shares.clip(1 - LARGEST_SHARE, LARGEST_SHARE)).clip(-truncation, truncation)


def to_png(image: NDArray[np.uint8]) -> str:
    """Write (height, width, channels) as a PNG file in base64."""
    file = io.BytesIO()
    Image.fromarray(image.squeeze(axis=2) if image.shape[2] == 1 else image).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def choose(name: str, value: object, known: tuple[str, ...]) -> str:
    """One of the known texts, the first by default. Any other is refused."""
    if value is None:
        return known[0]
    require(value in known, name, value, " or ".join(known))
    return str(value)


def is_finite(value: object) -> bool:
    """Whether a value is a number that a float can hold; true and false are none."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and abs(value) <= sys.float_info.max  # type: ignore[arg-type]


def is_whole(value: object) -> bool:
    """Whether a value is a whole number, which true and false are not."""
    return isinstance(value, int) and not isinstance(value, bool)


def require(condition: bool, name: str, value: object, allowed: str) -> None:
    """Refuse a request unless a condition holds; a long value is shortened."""
    if not condition:
        refuse(f"{name} is {reprlib.repr(value)}, but must be {allowed}.")


def refuse(sentence: str, code: int = INVALID_PARAMETER_VALUE) -> NoReturn:
    """Raise a `RequestRefused`."""
    raise RequestRefused(sentence, code)


def answer_in_sentences(invocations: Callable[..., Any]) -> Callable[..., Any]:
    """Let MLflow's server answer every failure with one sentence.

    By itself it puts the whole request in front of a sentence of ours, and its stack trace into the answer to a body
    that it cannot read. Bodies other than JSON are not read at all.
    """

    @wraps(invocations)
    def answer(data: bytes, content_type: str | None, *arguments: Any) -> Any:
        if (content_type or "").partition(";")[0].strip().lower() != "application/json":
            return scoring_server.InvocationsResponse(UNREADABLE, 415, "text/plain")
        try:
            return invocations(data, content_type, *arguments)
        except RequestRefused as error:
            raise MlflowException(error.sentence, error_code=ErrorCode.Value(error.error_code)) from None
        except Exception as error:
            logger.warning("A request cannot be read: %s", type(error).__name__)
            raise MlflowException(UNREADABLE, error_code=INVALID_PARAMETER_VALUE) from None

    return answer


mlflow.models.set_model(ServedGenerator())
