"""The single-stream detector as an ONNX file: the work of `ssdet export`.

Input `video` (B, 3, T, crop, crop) float32, normalised; output `logits` (B, K, T). B is
free, T too unless it is fixed. The file is compared with PyTorch before it gets its
name.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import util
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.export import Dim

from ssdet.files import atomic
from ssdet.models.detector import X3DDetector

PACKAGES = ("onnx", "onnxruntime", "onnxscript")
OPSET = 18  # what PyTorch's exporter writes by itself, without converting
TOLERANCE = 1e-4  # largest difference between a logit there and here
TRACED = (2, 3)  # B and T of the clip that is traced; above 1, which has its own rules
CHECKED = ((1, 5), (3, 2))  # B and T of the clips that are compared


def export_onnx(
    model: X3DDetector,
    path: Path,
    crop: int,
    frames: int | None,
    metadata: Mapping[str, str],
) -> float:
    """Write a detector as ONNX, whole or not at all, and compare it with PyTorch.

    Args:
        model: the detector, in evaluation mode, on the CPU.
        path: the file, `.onnx`.
        crop: H and W, in pixels.
        frames: T, at least 1; None leaves it free.
        metadata: texts to put into the file, by name.

    Returns:
        The largest difference between a logit of onnxruntime and one of PyTorch.

    Raises:
        ValueError: packages are missing, `path` or `frames` cannot be meant, or the
            logits differ by more than `TOLERANCE`; then nothing is written.
    """
    _require_packages()
    if path.suffix != ".onnx":
        raise ValueError(f"the file to write must end in .onnx, got {path}")
    if frames is not None and frames < 1:
        raise ValueError(f"--frames must be at least 1, got {frames}")
    content = _trace(model, crop, frames, metadata)
    with atomic(path) as file:
        file.write_bytes(content)
        difference = largest_difference(model, file, crop, frames)
        if not difference <= TOLERANCE:  # also if it is not a number
            raise ValueError(
                f"{path} is not written: its logits differ from PyTorch's by"
                f" {difference:.2g}, allowed is {TOLERANCE:g}. Look at the weights if"
                " that is nan; else export with the versions of requirements.lock"
            )
    return difference


def largest_difference(
    model: X3DDetector, path: Path, crop: int, frames: int | None
) -> float:
    """Run an ONNX file and a network on the same clips, of several B and T.

    Args:
        model: the detector, in evaluation mode, on the CPU.
        path: the ONNX file.
        crop: H and W, in pixels.
        frames: T, if the file has it fixed.

    Returns:
        The largest absolute difference between two logits; infinite if the shapes
        differ, nan if a logit is.
    """
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    generator = torch.Generator().manual_seed(0)
    differences = []
    for batch, length in CHECKED:
        video = torch.randn(batch, 3, frames or length, crop, crop, generator=generator)
        with torch.no_grad():
            ours = model(video).numpy()  # (B, K, T)
        theirs = session.run(["logits"], {"video": video.numpy()})[0]
        if theirs.shape != ours.shape:
            return float("inf")
        differences.append(np.abs(theirs - ours).max())
    return float(np.max(differences))


def _trace(
    model: X3DDetector, crop: int, frames: int | None, metadata: Mapping[str, str]
) -> bytes:
    batch, length = TRACED
    axes: dict[int, Any] = {0: Dim("batch", min=1)}
    if frames is None:
        axes[2] = Dim("time", min=1)
    video = torch.zeros(batch, 3, frames or length, crop, crop)
    with torch.no_grad():  # else the depthwise convolution takes its way of training
        program = torch.onnx.export(
            model,
            (video,),
            input_names=["video"],
            output_names=["logits"],
            dynamic_shapes=(axes,),
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    content = program.model_proto
    graph = content.graph
    graph.ClearField("metadata_props")
    for parts in (graph.node, graph.initializer, graph.value_info, graph.output):
        for part in parts:  # stack traces, with the paths of this machine
            part.ClearField("metadata_props")
    for name, text in metadata.items():
        content.metadata_props.add(key=name, value=text)
    return bytes(content.SerializeToString(deterministic=True))


def _require_packages() -> None:
    missing = [name for name in PACKAGES if util.find_spec(name) is None]
    if missing:
        raise ValueError(
            f"ONNX export needs {', '.join(missing)}, not installed here:"
            " pip install 'ssdet[onnx]'"
        )
