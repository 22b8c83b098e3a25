"""What SPOT reads: snippets of features, label shares, scores of others."""


def snippets(wildcards, split):
    """What SPOT reads of the videos of a split."""
    dataset, features = wildcards.dataset, cfg.spot.features
    if features.source == "store":
        read = feature_shards(wildcards, features.pretext, split)
    else:
        read = features.folders[dataset]
    return {**annotated(dataset), "features": read, "table": snippet_table(dataset)}


def annotated(dataset):
    """The label files, and the inventory of videos that are there to be looked at."""
    if cfg.spot.features.source == "store":
        files = labels(dataset, pretrained=True)
        return {**files, "inventory": results(f"{dataset}/inventory.csv")}
    require_feature_files(dataset)
    return {**annotation_files(dataset), "inventory": []}


def snippet_table(dataset):
    """Which share of each video its feature file covers, if that is known."""
    return cfg.spot.features.tables.get(dataset, [])


def features_folder(features):
    """The folder of features: of shards, or of one file for each video."""
    stored = cfg.spot.features.source == "store"
    return str(Path(features[0]).parent) if stored else str(features)


def spot_init(wildcards):
    """The weights that SPOT starts from, if it does."""
    folder = f"{wildcards.run}{wildcards.dataset}/spot/pretrain"
    named = {"pretrain_spot": results(f"{folder}/checkpoint.pt"), "random": []}
    return named.get(cfg.spot.train.init, cfg.spot.train.init)


def published_split(wildcards):
    """The table that says which videos keep their labels, if there is one."""
    split = cfg.spot.labels.split_files.get(wildcards.dataset, [])
    return [] if wildcards.labels == "100" else split


def external_scores(wildcards):
    """What another program says of whole videos, if that is to be used."""
    return cfg.spot.detect.external_scores.get(wildcards.dataset, [])
