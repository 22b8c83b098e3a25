"""Shards of made-up videos, stored as JPEG or as video."""

import io
from zlib import crc32

import numpy as np
from PIL import Image

from ssdet.data.frame_shard import PackedVideo, write_frames
from ssdet.data.short_gop import GopEncoder

GOP = 4


def pack(folder, video_id, greys, size=(16, 24), storage="jpeg"):
    """A video whose frames have these grey levels; equal neighbours share bytes."""
    encode = GopEncoder(GOP, 5) if storage == "video" else as_jpeg
    data, offsets, lengths = b"", [], []
    for number, grey in enumerate(greys):
        if number and grey == greys[number - 1]:
            offsets.append(offsets[-1])
            lengths.append(lengths[-1])
            continue
        coded = encode(np.full((*size, 3), grey, np.uint8))
        offsets.append(len(data))
        lengths.append(len(coded))
        data += coded
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{video_id}.coded"
    path.write_bytes(data)
    places = zip(offsets, lengths, strict=True)
    checksums = np.array([crc32(data[o : o + n]) for o, n in places], np.uint32)
    return PackedVideo(
        video_id,
        path,
        np.array(offsets),
        np.array(lengths),
        10.0,
        len(greys) / 10,
        *size,
        checksums if storage == "video" else None,
    )


def as_jpeg(image):
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG")
    return buffer.getvalue()


def write(path, videos, storage="jpeg", **attributes):
    coding = {"storage": "video", "gop": GOP, "crf": 5.0} if storage == "video" else {}
    attributes = {"dataset": "mine", **attributes, **coding}
    write_frames(path, videos, attributes, lambda: {"stage": "x"})


def levels(store, video_id):
    """Mean of each stored frame of a video."""
    frames = store.read(video_id, range(store.info(video_id).frames))
    return frames.double().mean(dim=(0, 2, 3)).tolist()
