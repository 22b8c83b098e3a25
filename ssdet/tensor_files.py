"""Files of tensors that others wrote, read without running what may be in them."""

from __future__ import annotations

import pickle
import re
from pathlib import Path
from typing import Any

import torch


def load_pickled(path: Path) -> Any:
    """What `torch.save` wrote: tensors, and plain values around them, on the CPU.

    Raises:
        ValueError: the file is damaged, of another kind, or holds anything else, whose
            reading could run code.
        OSError: the file cannot be opened.
    """
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        # PyTorch's own message says how to read it all the same
        raise ValueError(
            f"{path} holds more than tensors, and reading it could run code that"
            f" someone put there; it is refused. Ask for a file with weights alone"
            f" ({_reason(error)})"
        ) from None
    except Exception as error:  # bytes that are no pickle raise many kinds
        if isinstance(error, OSError) and error.filename is not None:
            raise  # of opening it; what a file that is cut off raises has no name
        raise ValueError(f"{path} is damaged or of another kind: {error}") from None


def load_safetensors(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a safetensors file, in which nothing can run.

    Raises:
        ValueError: it is not safetensors.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (SafetensorError, OSError, KeyError, RuntimeError) as error:
        raise ValueError(f"{path} is not safetensors: {error}") from None


def _reason(error: Exception) -> str:
    found = re.search(r"[Uu]nsupported \w+:? *[\w.]*", str(error))
    return found[0].rstrip(".") if found else "what it holds is not said"
