"""Requests to a served generator: its images against PyTorch's, and what it refuses."""

from __future__ import annotations

import base64
import io
import json
import random
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mlflow.exceptions import MlflowException
from mlflow.pyfunc import scoring_server
from PIL import Image
from scipy import stats

from gan_pipelines.serving.served_generator import (
    FAILED,
    MAX_IMAGES,
    UNREADABLE,
    ServedGenerator,
    draw_latents,
)

JSON = "application/json"
LATENTS = np.random.default_rng(5).normal(size=(4, 8)).round(3)


def ask(model, **request):
    (answer,) = model.predict([request])
    return answer


def expect(generator, latents, labels, weights="ema"):
    latents = torch.tensor(latents, dtype=torch.float32)
    (images,) = generator.decode(latents, None if labels is None else torch.tensor(labels), weights=weights)
    return images.permute(0, 2, 3, 1).int().numpy()


@pytest.mark.parametrize("weights", ["ema", "raw"])
def test_given_latents_give_the_images_of_the_generator_class_by_class(conditional, weights):
    generator, model = conditional
    answer = ask(model, latents=LATENTS.tolist(), classes=["queen", "ace"], weights=weights, format="array")
    assert answer.classes == ["queen"] * 4 + ["ace"] * 4
    assert (answer.seed, answer.images) == (None, None)
    expected = expect(generator, np.tile(LATENTS, (2, 1)), [2] * 4 + [0] * 4, weights)
    assert np.abs(np.array(answer.arrays) - expected).max() <= 1


def test_without_classes_each_latent_gives_one_image(unconditional):
    generator, model = unconditional
    answer = ask(model, latents=LATENTS.tolist(), format="array")
    assert answer.classes is None
    assert np.abs(np.array(answer.arrays) - expect(generator, LATENTS, None)).max() <= 1


def test_pictures_are_png_files_of_the_same_pixels(conditional, unconditional):
    for (_, model), mode in ((conditional, "RGB"), (unconditional, "L")):
        pixels = np.array(ask(model, count=1, seed=3, format="array").arrays)
        for encoded, expected in zip(ask(model, count=1, seed=3).images, pixels, strict=True):
            picture = Image.open(io.BytesIO(base64.b64decode(encoded)))
            assert (picture.format, picture.mode) == ("PNG", mode)
            assert np.array_equal(np.asarray(picture).reshape(expected.shape), expected)


def test_a_seed_gives_the_same_images_to_every_class_and_another_one_others(conditional):
    generator, model = conditional
    answer = ask(model, count=2, seed=11, format="array")
    assert answer.classes == ["ace", "ace", "king", "king", "queen", "queen"]
    latents = np.random.default_rng(11).standard_normal((2, 8), np.float32)
    expected = expect(generator, np.tile(latents, (3, 1)), [0, 0, 1, 1, 2, 2])
    assert np.abs(np.array(answer.arrays) - expected).max() <= 1
    assert ask(model, count=2, seed=12, format="array").arrays != answer.arrays


def test_a_seed_that_was_drawn_is_in_the_answer(conditional):
    _, model = conditional
    answers = [ask(model, classes=["king"]) for _ in range(2)]
    assert answers[0].seed != answers[1].seed
    assert ask(model, classes=["king"], seed=answers[0].seed).images == answers[0].images


def test_images_do_not_depend_on_the_batch(conditional):
    _, model = conditional
    many = ask(model, count=70, classes=["king"], seed=1, format="array").arrays
    few = ask(model, count=3, classes=["king"], seed=1, format="array").arrays
    assert len(many) == 70
    assert np.abs(np.array(many[:3]) - np.array(few)).max() <= 1


def test_several_requests_are_answered_in_order(conditional):
    _, model = conditional
    requests = [{"classes": ["ace"], "seed": 1}, {"classes": ["king"], "seed": 2}]
    assert [answer.classes for answer in model.predict(requests)] == [["ace"], ["king"]]


@pytest.mark.parametrize("bound", [0.5, 2.0])
def test_truncated_latents_are_normal_within_the_bound(bound):
    latents = draw_latents(0, (2000, 4), bound).flatten()
    assert np.abs(latents).max() <= bound
    assert stats.kstest(latents, stats.truncnorm(-bound, bound).cdf).pvalue > 0.01


@pytest.mark.parametrize("bound", [1e-300, 1e-9, 40.0, 1e30])
def test_any_truncation_gives_finite_latents(bound):
    latents = draw_latents(0, (3, 4), bound)
    assert np.isfinite(latents).all()
    assert (np.abs(latents) <= bound).all()


def test_truncation_reaches_the_images(conditional):
    _, model = conditional
    images = [ask(model, seed=1, truncation=bound).images for bound in (None, 0.3, 3)]
    assert len({tuple(each) for each in images}) == 3


WRONG = {
    "count is 0, but must be a whole number, 1 or more.": {"count": 0},
    "count is 2.0, but must be a whole number, 1 or more.": {"count": 2.0},
    "count is True, but must be a whole number, 1 or more.": {"count": True},
    "count is '3', but must be a whole number, 1 or more.": {"count": "3"},
    "seed is -1, but must be a whole number from 0 to 2^63 - 1.": {"seed": -1},
    "truncation is 0, but must be a finite number greater than 0.": {"truncation": 0},
    "truncation is nan, but must be a finite number greater than 0.": {"truncation": float("nan")},
    "weights is '', but must be ema or raw.": {"weights": ""},
    "weights is ['ema'], but must be ema or raw.": {"weights": ["ema"]},
    "weights is 'best', but must be ema or raw.": {"weights": "best"},
    "format is 'gif', but must be png or array.": {"format": "gif"},
    "classes is [], but must be a list of one name or more.": {"classes": []},
    "classes is 'ace', but must be a list of one name or more.": {"classes": "ace"},
    "'quen' is not a class of this generator; it knows queen.": {"classes": ["quen"]},
    "'7' is not a class of this generator; it knows ace, king, queen.": {"classes": ["7"]},
    "'cuont' is not a setting of a request; known are count, classes, seed, truncation, weights, latents, format.": {
        "cuont": 3
    },
    "seed is 3, but must be left out beside latents.": {"latents": [[0.0] * 8], "seed": 3},
    "latents is [], but must be a list of lists of 8 finite numbers.": {"latents": []},
    "a latent is [0.0, 0.0], but must be a list of lists of 8 finite numbers.": {"latents": [[0.0, 0.0]]},
    "latents is [[1e+300, 0, 0, 0, 0, 0, ...]], but must be a list of lists of 8 finite numbers.": {
        "latents": [[1e300] + [0] * 7]
    },
}


@pytest.mark.parametrize("sentence", WRONG)
def test_a_wrong_value_is_a_bad_request_with_a_sentence(conditional, sentence):
    _, model = conditional
    with pytest.raises(MlflowException) as caught:
        ask(model, **WRONG[sentence])
    assert (caught.value.message, caught.value.get_http_status_code()) == (sentence, 400)


def test_classes_of_a_generator_that_knows_none_are_refused(unconditional):
    with pytest.raises(MlflowException, match="^classes is .*, but must be left out: this generator knows no classes"):
        ask(unconditional[1], classes=["ace"])


@pytest.mark.parametrize(
    "requests",
    [
        [{"count": MAX_IMAGES // 3 + 1}],
        [{"count": 10**30}],
        [{"classes": ["ace"] * (MAX_IMAGES + 1)}],
        [{"latents": [[0.0] * 8] * (MAX_IMAGES + 1), "classes": ["ace"]}],
        [{"count": 200, "classes": ["ace"]}, {"count": 57, "classes": ["king"]}],
    ],
)
def test_too_many_images_are_too_many_requests(conditional, requests):
    with pytest.raises(MlflowException, match=f"^One request may ask for {MAX_IMAGES} images") as caught:
        conditional[1].predict(requests)
    assert caught.value.get_http_status_code() == 429


@pytest.mark.parametrize("huge", [10**400, -(10**400)])
def test_numbers_that_no_float_can_hold_are_refused(conditional, huge):
    for request in ({"truncation": huge}, {"latents": [[huge] * 8]}, {"seed": huge}):
        with pytest.raises(MlflowException, match="but must be") as caught:
            ask(conditional[1], **request)
        assert caught.value.get_http_status_code() == 400


def test_large_images_may_be_fewer(conditional_model, tmp_path):
    artifacts = {path.stem: str(path) for path in (conditional_model[1] / "artifacts").iterdir()}
    description = json.loads(Path(artifacts["description"]).read_text())
    for size, most in ((128, 256), (256, 64), (4096, 1)):
        artifacts["description"] = str(tmp_path / "description.json")
        Path(artifacts["description"]).write_text(json.dumps(description | {"image_shape": [3, size, size]}))
        served = ServedGenerator()
        served.load_context(SimpleNamespace(artifacts=artifacts))
        assert served.max_images == most


def test_as_many_images_as_are_allowed_are_made(unconditional):
    assert len(ask(unconditional[1], count=MAX_IMAGES).images) == MAX_IMAGES


def post(model, body, content_type=JSON):
    """Status and text of an answer of MLflow's server."""
    code = type(model.unwrap_python_model()).load_context.__globals__  # of the copy in the model
    handle = code["answer_in_sentences"](scoring_server.invocations)
    try:
        answer = handle(body, content_type, model, model.metadata.get_input_schema())
    except MlflowException as error:
        return error.get_http_status_code(), error.serialize_as_json()
    return answer.status, answer.response


def test_the_server_answers_with_json(conditional):
    status, text = post(conditional[1], b'{"inputs": [{"count": 1, "seed": 3}]}')
    (answer,) = json.loads(text)["predictions"]
    assert (status, answer["seed"], len(answer["images"])) == (200, 3, 3)


@pytest.mark.parametrize(
    ("body", "content_type", "status", "sentence"),
    [
        (b'{"inputs": [{"count": 0}]}', JSON, 400, "count is 0, but must be a whole number, 1 or more."),
        (b'{"inputs": [{"count": 9999}]}', JSON, 429, "One request may ask for 256 images, of all its classes"),
        (b'{"inputs": [3]}', JSON, 400, UNREADABLE),
        (b'{"inputs": {"count": 3}}', JSON, 400, UNREADABLE),
        (b'{"dataframe_records": [{"count": 3}]}', JSON, 400, UNREADABLE),
        (b"{secret", JSON, 400, UNREADABLE),
        (b"\xff\xfe", JSON, 400, UNREADABLE),
        (b"", JSON, 400, UNREADABLE),
        (b"[" * 100_000, JSON, 400, UNREADABLE),
        (b'{"inputs": [{"seed": ' + b"9" * 5000 + b"}]}", JSON, 400, UNREADABLE),
        (b'a,b\n"secret', "text/csv", 415, UNREADABLE),
        (b"PAR1secretPAR1", "application/vnd.apache.parquet", 415, UNREADABLE),
        (b"{}", None, 415, UNREADABLE),
    ],
)
def test_the_server_answers_failures_with_one_sentence(conditional, body, content_type, status, sentence):
    found, text = post(conditional[1], body, content_type)
    message = json.loads(text)["message"] if text.startswith("{") else text
    assert found == status
    assert message.startswith(sentence)
    assert "secret" not in text
    assert "Traceback" not in text
    assert "stack_trace" not in text


def test_a_failure_of_its_own_is_an_internal_error_without_details(conditional, monkeypatch, caplog):
    _, model = conditional
    served = model.unwrap_python_model()

    def fail(*_):
        raise RuntimeError("secret")

    monkeypatch.setattr(served, "fill", fail)
    status, text = post(model, b'{"inputs": [{"count": 1}]}')
    assert (status, json.loads(text)["message"]) == (500, FAILED)
    assert "secret" not in text
    assert "secret" in caplog.text  # the log has the traceback


def random_value(draws, depth=0):
    kinds = [None, True, -1, 0, 3, 2**70, 0.5, float("inf"), float("nan"), "", "ace", "\ud800", "x" * 500]
    if depth < 3 and draws.random() < 0.5:
        values = [random_value(draws, depth + 1) for _ in range(draws.randrange(4))]
        names = ["count", "classes", "seed", "truncation", "weights", "latents", "format", "self", "inputs"]
        return values if draws.random() < 0.5 else {draws.choice(names): value for value in values}
    return draws.choice(kinds)


def test_random_bodies_get_an_answer_without_a_stack_trace(conditional):
    draws = random.Random(0)
    statuses = set()
    for _ in range(300):
        body = json.dumps({"inputs": random_value(draws)}).encode()
        if draws.random() < 0.3:
            body = body[: draws.randrange(len(body))]
        status, text = post(conditional[1], body)
        assert status in (200, 400, 429)
        assert "Traceback" not in text
        assert len(text) < 300 or status == 200
        statuses.add(status)
    assert {200, 400} <= statuses


WITHOUT_PROJECT = """
import sys
absent = ("torch", "kedro", "gan_pipelines", "onnx", "safetensors", "scipy")
sys.modules.update(dict.fromkeys(absent))
import mlflow
model = mlflow.pyfunc.load_model(sys.argv[1])
(answer,) = model.predict([{"count": 2, "classes": ["king"], "seed": 1}])
print(len(answer.images), answer.classes)
"""


@pytest.mark.integration
def test_a_model_needs_neither_pytorch_nor_the_project_and_is_not_unpickled(conditional_model, tmp_path):
    _, path = conditional_model
    command = [sys.executable, "-c", WITHOUT_PROJECT, str(path)]
    environment = {"PATH": "", "HOME": str(tmp_path), "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false"}
    result = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, env=environment)
    assert result.stdout.splitlines()[-1:] == ["2 ['king', 'king']"], result.stderr
