"""Decodes JPEG files of one size.

On the CPU by simplejpeg where it is installed, which writes all pictures into the same
memory, else by torchvision. Both are libjpeg-turbo with its exact DCT and smooth
chroma: their pixels are the same. On a GPU by torchvision (nvJPEG), a level or so off.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ssdet.data.picture_size import jpeg_size

try:
    import simplejpeg
except ImportError:  # slower, the same pixels
    simplejpeg = None

File = NDArray[np.uint8]  # (bytes,)


def decode_jpegs(
    files: Sequence[File], size: tuple[int, int], device: torch.device
) -> Iterator[Tensor]:
    """Decode files, one after the other on a CPU.

    Args:
        files: the files, in memory.
        size: the height and width that all must have.
        device: where to decode.

    Yields:
        RGB (H, W, 3), uint8, on the device; the next one may overwrite it.

    Raises:
        ValueError: a file is no JPEG, cut off, or has another size, which is seen
            before there is memory for its picture.
    """
    for file in files:
        _see_size(file, size)
    if device.type == "cuda":
        for picture in _torchvision([torch.from_numpy(f) for f in files], device):
            yield picture.permute(1, 2, 0)
        return
    kept = np.empty((*size, 3), np.uint8)
    for file in files:
        if simplejpeg is not None and _decoded_into(kept, file):
            yield torch.from_numpy(kept)
        else:
            picture = _torchvision([torch.from_numpy(file)], device)[0]
            yield picture.permute(1, 2, 0)


def _decoded_into(picture: File, file: File) -> bool:
    """Whether simplejpeg could: what it warns of is left to torchvision to judge."""
    try:
        found = simplejpeg.decode_jpeg(file, "RGB", False, False, buffer=picture)
    except ValueError:
        return False
    return found.shape == picture.shape


def _torchvision(files: list[Tensor], device: torch.device) -> list[Tensor]:
    from torchvision.io import ImageReadMode, decode_jpeg

    try:
        with warnings.catch_warnings():
            # torchvision advises another package, which needs ffmpeg's libraries.
            warnings.simplefilter("ignore", DeprecationWarning)
            if device.type == "cuda":
                return decode_jpeg(files, mode=ImageReadMode.RGB, device=device)
            return [decode_jpeg(file, mode=ImageReadMode.RGB) for file in files]
    except RuntimeError as error:
        raise ValueError(str(error)) from None


def _see_size(file: File, size: tuple[int, int]) -> None:
    height, width = jpeg_size(file.data)
    if (height, width) != size:
        raise ValueError(f"it has {width} x {height} pixels, not {size[1]} x {size[0]}")
