"""Few values a program of a kernel, so that even small maps take several of them."""


def small_norms(monkeypatch):
    from ssdet.kernels.gpu import norm

    sizes = {"ROWS": 2, "LANES": 64, "EACH": 2, "SHARES": 8, "CLIPS": 2, "CHANNELS": 16}
    for name, size in sizes.items():
        monkeypatch.setattr(norm, name, size)


def small_convolutions(monkeypatch):
    from ssdet.kernels.gpu import depthwise

    monkeypatch.setattr(depthwise, "FRAMES_AT_ONCE", 2)
    monkeypatch.setattr(depthwise, "SHARES", 4)
    tile = depthwise.Tile(2, 4, 4, 1)
    for name in ("FORWARD", "FORWARD_ALIGNED", "INPUT_GRADIENT", "WEIGHT_GRADIENT"):
        monkeypatch.setattr(depthwise, name, tile)
