"""Where files lie, and which shards hold which videos."""


def results(path):
    """A path below the config key `results`."""
    return str(Path(cfg.results) / path)


def annotation_files(dataset):
    """The label files of a data set, as named inputs."""
    files = cfg.datasets[dataset].annotations
    classes = [] if files.classes is None else files.classes
    return {"training": files.training, "testing": files.testing, "classes": classes}


def labels(dataset, pretrained=False):
    """The label files, once everything that the stage needs is known to be there.

    Args:
        dataset: name of the data set.
        pretrained: whether the stage is `pretrain` or comes after it.
    """
    require(dataset, pretrained=pretrained)
    return annotation_files(dataset)


def read_labels(dataset):
    """The label files, once they are known to be there and to hold what they should."""
    files = labels(dataset)
    split_of_videos(dataset)
    return files


def frame_shards(dataset, *splits):
    """The frame files that hold videos of these splits."""
    return [results(f"{dataset}/frames/{name}") for name in shards(dataset, splits)]


def feature_shards(wildcards, pretext, split):
    """The feature files of a split."""
    dataset = wildcards.dataset
    folder = f"{shared('fine', wildcards)}{dataset}/features/{pretext}/{split}"
    return [results(f"{folder}/{name}") for name in shards(dataset, (split,))]


def pretrained_feature_shards(wildcards, pretext, split):
    """The feature files of a split, by a network that saw no labels of the data set."""
    dataset, run = wildcards.dataset, shared("pretrain", wildcards)
    folder = f"{run}{dataset}/features/pretrained_{pretext}/{split}"
    return [results(f"{folder}/{name}") for name in shards(dataset, (split,))]


def pretrained(wildcards, pretext):
    """The pretrained network that a detector starts from."""
    run = shared("pretrain", wildcards)
    return results(f"{run}pretrain/{pretext}/checkpoint.pt")


def detector(wildcards, pretext):
    """The single-stream detector that is the fast or fine stream of another network."""
    run = shared("fine", wildcards)
    return results(f"{run}{wildcards.dataset}/fine/{pretext}/checkpoint.pt")


# ------------------------------------------------------------------------------- seeds


def seed_of(wildcards):
    """The seed of a training, or of a result: what its folder says, or the first."""
    run = wildcards.get("run", "")
    return int(run.removeprefix("seed_").removesuffix("/")) if run else cfg.seed


def shared(stage, wildcards):
    """The folder of another stage's output for this seed: its own, or the first's."""
    return "" if stage in SHARED[cfg.seeds.share] else wildcards.get("run", "")


@cache
def shards(dataset, splits):
    """File names of the shards that hold videos of these splits."""
    videos = split_of_videos(dataset)
    chosen = [video for video, split in videos.items() if split in splits]
    return [shard_name(n) for n in shards_with(chosen, videos, cfg.frames.shard_videos)]


@cache
def split_of_videos(dataset):
    """Split of each annotated video; the generated ones are known before they exist."""
    if is_generated(dataset):
        planned = planned_ids(cfg.synthetic, cfg.seed)[dataset]
        return {video: split for split, ids in planned.items() for video in ids}
    files = annotation_files(dataset)
    try:
        data = read_dataset(
            dataset,
            cfg.datasets[dataset].without_paths(),
            Path(files["training"]),
            Path(files["testing"]),
            Path(files["classes"]) if files["classes"] else None,
        )
        check_expected(data, cfg.datasets[dataset].expected)
    except (OSError, ValueError) as error:
        fail(error)
    return {record.video_id: record.split for record in data.records}
