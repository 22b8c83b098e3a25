"""How large a picture is before it is decoded, and how large it may be.

A few bytes of a stranger's file can claim a picture of many gigabytes.

Source: ITU-T T.81 (JPEG), annex B.
"""

from __future__ import annotations

import struct

PIXELS = 1 << 26  # of a picture, at most: 8,192 x 8,192; 8K video has half of them

# Markers of JPEG: those of a frame's header, those without a segment, those behind
# which there is no header any more (start of scan, end of image).
HEADERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
BARE = frozenset({0x00, 0x01, *range(0xD0, 0xD9)})
ENDS = frozenset({0xD9, 0xDA})


def jpeg_size(data: bytes | memoryview) -> tuple[int, int]:
    """Height and width that the header of a JPEG file states.

    It is found as libjpeg finds it: bytes between segments are passed over.

    Raises:
        ValueError: there is no such header.
    """
    view = memoryview(data)
    if bytes(view[:2]) != b"\xff\xd8":
        raise ValueError("it is not a JPEG file")
    at = 2
    try:
        while True:
            while view[at] != 0xFF:
                at += 1
            while view[at] == 0xFF:
                at += 1
            marker, at = view[at], at + 1
            if marker in HEADERS:
                height, width = struct.unpack_from(">HH", view, at + 3)
                if height and width:
                    return height, width
            if marker in HEADERS or marker in ENDS:
                break
            if marker not in BARE:
                at += int.from_bytes(view[at : at + 2], "big")
    except (IndexError, struct.error):
        pass  # the file ends before
    raise ValueError("it is not a JPEG file, or cut off: it states no size")
