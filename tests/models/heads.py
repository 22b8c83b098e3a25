"""Small temporal heads for the tests, one of each kind."""

from ssdet.models.linear_head import LinearHead
from ssdet.models.ms_tct import MsTct
from ssdet.models.pdan import Pdan
from ssdet.models.super_events import SuperEvents
from ssdet.models.temporal_gaussian_mixture import TgmHead


def linear(width, classes):
    return LinearHead(width=width, classes=classes, dropout=0.7)


def super_events(width, classes, padding="fixed", merge="max", filters=3):
    return SuperEvents(
        width=width,
        classes=classes,
        filters=filters,
        merge=merge,
        dropout=0.7,
        padding=padding,
    )


def tgm(
    width, classes, padding="fixed", filters=None, length=5, kernel="cauchy", hidden=512
):
    return TgmHead(
        width=width,
        classes=classes,
        channels=8,
        gaussians=16,
        length=length,
        kernel=kernel,
        hidden=hidden,
        filters=filters,
        dropout=0.5,
        padding=padding,
    )


def tgm_se(width, classes, padding="fixed"):
    return tgm(width, classes, padding, filters=3)


def pdan(width, classes, padding="fixed", channels=512, blocks=5, stages=1):
    return Pdan(
        width=width,
        classes=classes,
        channels=channels,
        blocks=blocks,
        stages=stages,
        dropout=0.5,
        padding=padding,
    )


def ms_tct(
    width, classes, widths=(256, 384, 576, 864), blocks=3, heads=8, ratio=8, mixed=512
):
    return MsTct(
        width=width,
        classes=classes,
        widths=widths,
        blocks=blocks,
        heads=heads,
        ratio=ratio,
        mixed=mixed,
        dropout=0.5,
    )
