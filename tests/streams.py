"""A single-stream and a two-stream detector on the tiny sets, made by the stages."""

from ssdet.evaluate import predict
from ssdet.features import extract
from ssdet.train import coarse_fine, fine, pretrain


def make_streams(tiny, folder):
    """Every file of a two-stream model: <stage>.pt, features of both splits, logits."""
    pretrain.main(tiny.pretrain(folder / "pretrain.pt"))
    fine.main(tiny.fine(folder / "fine.pt", folder / "pretrain.pt"))
    for split in ("training", "testing"):
        for shard in range(tiny.shards):
            extract.main(
                tiny.extract(
                    folder / split / f"shard-{shard:03d}.h5",
                    folder / "fine.pt",
                    split,
                    shard,
                )
            )
    coarse_fine.main(
        tiny.coarse_fine(
            folder / "coarse_fine.pt", folder / "pretrain.pt", folder / "training"
        )
    )
    predict.main(tiny.predict(folder / "fine.h5", folder / "fine.pt"))
    predict.main(
        tiny.predict(
            folder / "coarse_fine.h5", folder / "coarse_fine.pt", folder / "testing"
        )
    )
    return folder
