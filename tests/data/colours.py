"""Frames of known colours, with the tags of a video."""

import numpy as np

RGB = np.array([[235, 30, 40], [20, 220, 60], [30, 40, 210], [200, 200, 40]])
# Weights of red and blue in luma: ITU-R BT.601 and BT.709, tables of their numbers in
# ITU-T H.273: colorspace (its matrix), color_range (1 limited, 2 full).
MATRICES = {"unknown": (2, 0.299, 0.114), "601": (5, 0.299, 0.114)}
MATRICES["709"] = (1, 0.2126, 0.0722)


def yuv(colour, red, blue, full, bits=8):
    """Luma and chroma of a colour, as integers (ITU-T H.273, 8.3)."""
    r, g, b = np.asarray(colour) / 255
    luma = red * r + (1 - red - blue) * g + blue * b
    parts = luma, (b - luma) / (2 - 2 * blue), (r - luma) / (2 - 2 * red)
    unit, top = 2 ** (bits - 8), 2**bits - 1
    if full:
        values = [top * parts[0], *(top * p + 128 * unit for p in parts[1:])]
    else:
        values = [unit * (219 * parts[0] + 16)]
        values += [unit * (224 * part + 128) for part in parts[1:]]
    return [round(value) for value in values]


def frame_of(colours, size, matrix, full, bits=8):
    """A decoded frame whose four quarters, row by row, have these colours."""
    import av

    code, *weights = MATRICES[matrix]
    frame = av.VideoFrame(*size, "yuv420p" if bits == 8 else f"yuv420p{bits}le")
    frame.colorspace, frame.color_range = code, 2 if full else 1
    values = [yuv(colour, *weights, full, bits) for colour in colours]
    for number, plane in enumerate(frame.planes):
        kind = np.uint8 if bits == 8 else np.uint16
        pixels = np.empty((plane.height, plane.line_size // kind().itemsize), kind)
        half, middle = plane.height // 2, plane.width // 2
        pixels[:half, :middle], pixels[:half, middle:] = (v[number] for v in values[:2])
        pixels[half:, :middle], pixels[half:, middle:] = (v[number] for v in values[2:])
        plane.update(pixels.tobytes())
    return frame
