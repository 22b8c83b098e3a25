import pytest
import torch

from ssdet.kernels.gpu import switch


@pytest.fixture
def interpreted(monkeypatch):
    pytest.importorskip("triton", reason="Triton is not installed")
    monkeypatch.setenv("TRITON_INTERPRET", "1")


@pytest.mark.usefixtures("interpreted")
def test_off_unless_asked_for(monkeypatch):
    video = torch.zeros(1, 1, 1, 1, 1)
    monkeypatch.delenv(switch.SWITCH, raising=False)
    assert not switch.covers(video)
    monkeypatch.setenv(switch.SWITCH, "off")
    assert not switch.covers(video)
    monkeypatch.setenv(switch.SWITCH, "on")
    assert switch.covers(video)


@pytest.mark.usefixtures("interpreted")
def test_what_they_cannot_take(monkeypatch):
    monkeypatch.setenv(switch.SWITCH, "on")
    assert not switch.covers(torch.zeros(0, 1, 1, 1, 1))
    assert not switch.covers(torch.zeros(1), torch.zeros(1, dtype=torch.int64))


def test_tensors_on_a_cpu_are_not_for_compiled_kernels(monkeypatch):
    monkeypatch.setenv(switch.SWITCH, "on")
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    assert not switch.covers(torch.zeros(1))
