from __future__ import annotations

import pytest
import torch

from gan_pipelines.core.config import ConfigError
from gan_pipelines.core.devices import RandomState, autocast, resolve_device, resolve_precision

CPU = torch.device("cpu")


def test_auto_takes_what_there_is(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert resolve_device("auto") == CPU
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert resolve_device("auto") == torch.device("mps")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert resolve_device("auto") == torch.device("cuda")


def test_a_device_that_is_not_there_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match="device is 'cuda', but PyTorch finds only"):
        resolve_device("cuda")
    with pytest.raises(ConfigError, match="one of auto, cpu, cuda, mps"):
        resolve_device("tpu")


@pytest.mark.parametrize(("precision", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16)])
def test_precision_on_the_cpu(precision, dtype):
    with autocast(CPU, precision):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == dtype


def test_auto_precision_is_bf16_only_where_it_is_native(monkeypatch):
    cuda = torch.device("cuda")
    for kind in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.setattr(torch.cpu, kind, lambda: False)
    assert resolve_precision("auto", CPU) == "fp32"
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True)
    assert resolve_precision("auto", CPU) == "bf16"
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: True)
    assert resolve_precision("auto", cuda) == "bf16"
    assert resolve_precision("fp32", cuda) == "fp32"
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: including_emulation)
    assert resolve_precision("auto", cuda) == "fp32"


def test_own_random_state_neither_gives_nor_takes():
    torch.manual_seed(1)
    undisturbed = torch.rand(4)
    torch.manual_seed(1)
    state = RandomState(7, CPU)
    with state.active():
        first = torch.rand(3)
    assert torch.equal(torch.rand(4), undisturbed)
    with state.active():
        second = torch.rand(3)
    torch.manual_seed(7)
    assert torch.equal(torch.cat([first, second]), torch.cat([torch.rand(3), torch.rand(3)]))
