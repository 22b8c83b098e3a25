"""Blocks of X3D and a small whole one on the Triton kernels, beside PyTorch's."""

import copy

import pytest
import torch

from ssdet.kernels import compiled
from ssdet.kernels.gpu import switch
from ssdet.models import X3DDetector
from ssdet.models.bottleneck import Bottleneck, recompute_blocks
from ssdet.models.initial import initialise
from ssdet.models.pieces import set_frames_at_once
from ssdet.models.sub_batch_norm import freeze_norms, set_splits

pytest.importorskip("triton", reason="Triton is not installed")


@pytest.fixture(autouse=True)
def beside_pytorch(monkeypatch):
    monkeypatch.setenv(compiled.SWITCH, "off")


def block(stride, gated, splits=1, out=4):
    torch.manual_seed(0)
    made = Bottleneck(4, 9, out, stride, gated)
    set_splits(made, splits)
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return made


def step(model, x, device, half=False, frames=None):
    """Output, gradients and statistics of a step, then the output in evaluation."""
    model = copy.deepcopy(model).to(device).train()
    x = x.to(device).detach().requires_grad_()
    with torch.autocast(device, torch.bfloat16, enabled=half):
        out = model(x)
    weights = torch.linspace(-1, 1, out.numel()).view(out.shape).to(out)
    (out * weights).sum().backward()
    parameters = [p.grad for p in model.parameters() if p.grad is not None]
    gradients = torch.cat([g.double().flatten() for g in (x.grad, *parameters)])
    buffers = torch.cat([b.double().flatten() for b in model.buffers()])
    model.eval()
    set_frames_at_once(model, frames)
    with torch.no_grad(), torch.autocast(device, torch.bfloat16, enabled=half):
        return out.detach(), gradients, buffers, model(x)


def apart(found, expected):
    return ((found.double() - expected).norm() / expected.norm()).item()


def both(monkeypatch, model, x, device, **options):
    monkeypatch.setenv(switch.SWITCH, "on")
    found = step(model, x, device, **options)
    monkeypatch.setenv(switch.SWITCH, "off")
    return found, step(model, x, device, **options)


@pytest.mark.parametrize(
    ("stride", "gated", "splits", "frames"),
    [(1, True, 2, None), (1, False, 1, 2), (2, True, 1, 2), (2, False, 1, None)],
)
def test_blocks_in_float64(monkeypatch, device, stride, gated, splits, frames):
    model = block(stride, gated, splits).double()
    x = torch.randn(2, 4, 3, 3, 5, dtype=torch.float64)
    for one, two in zip(
        *both(monkeypatch, model, x, device, frames=frames), strict=True
    ):
        assert apart(one, two) < 1e-12


def test_a_frozen_block(monkeypatch, device):
    model = block(1, True).double()
    freeze_norms(model)
    x = torch.randn(2, 4, 2, 3, 3, dtype=torch.float64)
    for one, two in zip(*both(monkeypatch, model, x, device), strict=True):
        assert apart(one, two) < 1e-12


def test_a_block_in_bf16_is_as_exact_as_pytorchs(monkeypatch, device):
    """Against float64; Triton's interpreter cuts off instead of rounding."""
    model, x = block(2, True), torch.randn(2, 4, 3, 5, 6)
    found, stock = both(monkeypatch, model, x, device, half=True)
    assert found[0].dtype == torch.bfloat16
    exact = step(copy.deepcopy(model).double(), x.double(), device)
    for one, two, expected in zip(found, stock, exact, strict=True):
        assert apart(one, expected) < max(0.01, 3 * apart(two, expected))


def test_recomputed_blocks_give_the_same_bits(monkeypatch, device):
    monkeypatch.setenv(switch.SWITCH, "on")
    model, x = block(1, True), torch.randn(2, 4, 2, 3, 3)
    first = step(model, x, device)
    recompute_blocks(model)
    for one, two in zip(first, step(model, x, device), strict=True):
        assert torch.equal(one, two)


def test_a_whole_network(monkeypatch, device):
    torch.manual_seed(0)
    model = X3DDetector(
        depth_factor=0.4,
        width_factor=0.3,
        head_width=8,
        classes=3,
        dropout=0.0,
        mode="loc",
    )
    initialise(model)
    model = model.double().to(memory_format=torch.channels_last_3d)
    x = torch.randn(2, 3, 2, 32, 32, dtype=torch.float64)
    for one, two in zip(*both(monkeypatch, model, x, device), strict=True):
        assert apart(one, two) < 1e-10


def test_evaluation_takes_few_passes(monkeypatch, device):
    """Norm, gate and activation of a map in one: the kernels that a block launches."""
    from ssdet.kernels.gpu import depthwise, norm

    called = []
    for module, name in (
        (depthwise, "forward_kernel"),
        (norm, "apply_kernel"),
        (norm, "moments_kernel"),
    ):
        monkeypatch.setattr(module, name, Noted(getattr(module, name), called))
    monkeypatch.setenv(switch.SWITCH, "on")
    x = torch.randn(1, 4, 1, 2, 2).to(device)
    with torch.no_grad():
        block(1, False).to(device).eval()(x)
        assert called == ["apply_kernel", "forward_kernel", "apply_kernel"]
        called.clear()
        block(1, True).to(device).eval()(x)
    gated = ["apply_kernel", "forward_kernel", "apply_kernel", "apply_kernel"]
    assert called == gated


class Noted:
    """A kernel that writes down when it is launched."""

    def __init__(self, kernel, called):
        self.kernel, self.called = kernel, called

    def __getitem__(self, grid):
        self.called.append(self.kernel.__name__)
        return self.kernel[grid]
