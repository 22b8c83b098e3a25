"""What a file says, without what differs between two runs of one job."""

import json

import h5py
import torch

from ssdet.sealed_json import opened

VOLATILE = (
    *("started", "ended", "gpu_hours", "commit"),
    *("waited_s", "step_s", "timing"),
)


def content(path, parents=True):
    """Bytes where bytes are promised, else what they mean; None if there is no file.

    Args:
        path: a file, or a folder.
        parents: whether hashes of what it was made from count.
    """
    if path.is_dir():
        files = sorted(p for p in path.rglob("*") if p.is_file())
        return {str(p.relative_to(path)): p.read_bytes() for p in files}
    if not path.exists():
        return None
    if path.suffix == ".h5":
        return _of_hdf5(path, parents)
    if path.suffix == ".json":
        return _plain(opened(json.loads(path.read_text())), parents)
    if path.suffix == ".jsonl":
        return [_plain(json.loads(line), parents) for line in path.open()]
    if path.suffix == ".pt" and not parents:
        weights = torch.load(path, weights_only=True)["weights"]
        return {name: x.numpy().tobytes() for name, x in weights.items()}
    return path.read_bytes()


def _of_hdf5(path, parents):
    said = {}

    def visit(name, item):
        for key, value in item.attrs.items():
            if key == "provenance":
                value = _plain(json.loads(value), parents)
            elif not parents and key.endswith("sha256"):
                continue
            said[name, key] = value
        if isinstance(item, h5py.Dataset):
            said[name] = (item.dtype.str, item.shape, item[()].tobytes())

    with h5py.File(path, "r", locking=False) as file:
        visit("", file)
        file.visititems(visit)
    return said


def _plain(value, parents):
    """Without volatile keys."""
    if isinstance(value, list):
        return [_plain(item, parents) for item in value]
    if not isinstance(value, dict):
        return value
    dropped = VOLATILE if parents else (*VOLATILE, "parents", "sha256")
    return {k: _plain(v, parents) for k, v in value.items() if k not in dropped}
