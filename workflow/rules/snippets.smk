"""What SPOT reads: snippets of features, label shares, scores of others."""


def snippets(wildcards, split):
    """What SPOT reads of the videos of a split."""
    dataset, features = wildcards.dataset, cfg.spot.features
    if features.source == "store":
        fine = features.stage == "fine"
        files = feature_shards if fine else pretrained_feature_shards
        read = files(wildcards, features.pretext, split)
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


def variant(wildcards):
    """The name of the variant, if it is one."""
    return wildcards.variant.removeprefix("_")


def spot_training(wildcards):
    """The section `spot.train` of a variant, as JSON."""
    return cfg.spot.training(variant(wildcards)).canonical()


def spot_weights(wildcards):
    """The section `spot.losses` of a variant, as JSON."""
    return cfg.spot.weights(variant(wildcards)).canonical()


def spot_init(wildcards):
    """The weights that SPOT starts from, if it does."""
    folder = f"{wildcards.run}{wildcards.dataset}/spot/pretrain"
    named = {"pretrain_spot": results(f"{folder}/checkpoint.pt"), "random": []}
    init = cfg.spot.training(variant(wildcards)).init
    return named.get(init, init)


def published_split(wildcards):
    """The table that says which videos keep their labels, if there is one."""
    split = cfg.spot.labels.split_files.get(wildcards.dataset, [])
    return [] if wildcards.labels == "100" else split


def external_scores(wildcards):
    """What another program says of whole videos, if that is to be used."""
    return cfg.spot.detect.external_scores.get(wildcards.dataset, [])


def pretraining_labels():
    """The labels over time that `pretrain` takes in place of one for each clip, if any.

    SPOT on features of ours comes after `pretrain`: then they must be of another folder.
    """
    path = cfg.pretrain.frame_labels
    if path is None:
        return []
    ours = Path(path).is_relative_to(cfg.results)
    if ours and cfg.spot.features.source == "store":
        fail(
            f"pretrain.frame_labels: {path} would be made from features of a detector"
            " that is trained after pretraining. Set spot.features.source to files, or"
            " take the file from another `results` folder"
        )
    if not ours and not Path(path).is_file():
        fail(f"pretrain.frame_labels: no file {path} (null: one label for each clip)")
    return path


# --------------------------------------------------------------------------- the table


def reported_shares():
    """Share of labels and variant (or nothing) of each of SPOT's results in tables."""
    reported = cfg.spot.report
    return list(product(reported.labels, ("", *reported.variants)))


def spot_results(wildcards):
    """The results that the table of a data set compares, by all seeds of tables."""
    return [
        results(
            f"{run}{wildcards.dataset}_spot_{labels}{variant and '_'}{variant}.json"
        )
        for run in ("", *(f"seed_{seed}/" for seed in cfg.seeds.tables))
        for labels, variant in reported_shares()
    ]


def spot_rows(dataset):
    """The table of a data set: published rows, then those that are ours alone."""
    table = None if is_generated(dataset) else PAPER.segments.get(dataset)
    return with_own_rows(table, dataset, cfg.spot.report.tiou, reported_shares())


def spot_tables():
    """The tables of SPOT that the default target makes."""
    return [
        results(f"tables/spot_{dataset}.{kind}")
        for dataset, kind in product(cfg.spot.report.datasets, ("csv", "md"))
    ]
