import pytest
import torch


@pytest.fixture
def device():
    """Where the kernels run: a GPU, or Triton's interpreter on the CPU."""
    return "cuda" if torch.cuda.is_available() else "cpu"


@pytest.fixture
def rounding(device):
    """Bound of a result in bf16: half its last bit, twice to be safe with the sums.

    Triton's interpreter cuts off instead of rounding: a whole bit.
    """
    return {"rtol": 2**-8 if device == "cuda" else 2**-7, "atol": 1e-5}
