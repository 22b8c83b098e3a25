"""SPOT: segments of actions, from features of videos of which only some have labels.

`labels` is the share of the training videos that keep theirs, in percent; `variant` is
nothing, or _ and one of `spot.variants`.
"""


rule pretrain_spot:
    input:
        unpack(lambda wildcards: snippets(wildcards, "training")),
    output:
        checkpoint=results("{run}{dataset}/spot/pretrain/checkpoint.pt"),
        record=results("{run}{dataset}/spot/pretrain/checkpoint.json"),
        metrics=results("{run}{dataset}/spot/pretrain/checkpoint.jsonl"),
    log:
        results("logs/pretrain_spot/{run}{dataset}.log"),
    benchmark:
        results("benchmarks/pretrain_spot/{run}{dataset}.tsv")
    conda:
        "../../environment.yml"
    threads: cfg.resources.train.threads
    resources:
        gpu=cfg.resources.train.gpu,
        mem_mb=cfg.resources.train.mem_mb,
        runtime=runtime("train"),
        launcher=launcher(),
        process_threads=process_threads(),
        execution=execution(),
    params:
        classes=lambda wildcards, input: optional(input.classes),
        inventory=lambda wildcards, input: optional(input.inventory),
        table=lambda wildcards, input: optional(input.table),
        folder=lambda wildcards, input: features_folder(input.features),
        dataset=dataset_section,
        data=losses,
        frames=section("frames"),
        validation=section("validation"),
        network=cfg.spot.network.canonical(),
        features=canonical_json(cfg.spot.features.without_paths()),
        losses=cfg.spot.losses.canonical(),
        pretrain=cfg.spot.pretrain.canonical(),
        seed=seed_of,
        revision=revision("ssdet.train.pretrain_spot"),
    message:
        "Pretraining SPOT on {wildcards.dataset}, on {resources.gpu} GPUs"
    shell:
        "export OMP_NUM_THREADS={resources.process_threads};"
        " {resources.launcher} -m ssdet.train.pretrain_spot"
        " --name {wildcards.dataset} --dataset {params.dataset:q}"
        " --training {input.training:q} --testing {input.testing:q}"
        " --classes={params.classes:q} --inventory={params.inventory:q}"
        " --frames {params.frames:q} --data {params.data:q}"
        " --features-dir {params.folder:q} --features-table={params.table:q}"
        " --network {params.network:q} --features {params.features:q}"
        " --losses {params.losses:q} --validation {params.validation:q}"
        " --pretrain {params.pretrain:q}"
        " --seed {params.seed} {resources.execution}"
        " --out {output.checkpoint:q} 2> {log:q}"


rule train_spot:
    input:
        unpack(lambda wildcards: snippets(wildcards, "training")),
        init=spot_init,
        split=published_split,
    output:
        checkpoint=results("{run}{dataset}/spot/{labels}{variant}/checkpoint.pt"),
        record=results("{run}{dataset}/spot/{labels}{variant}/checkpoint.json"),
        metrics=results("{run}{dataset}/spot/{labels}{variant}/checkpoint.jsonl"),
    log:
        results("logs/train_spot/{run}{dataset}/{labels}{variant}.log"),
    benchmark:
        results("benchmarks/train_spot/{run}{dataset}/{labels}{variant}.tsv")
    conda:
        "../../environment.yml"
    threads: cfg.resources.train.threads
    resources:
        gpu=cfg.resources.train.gpu,
        mem_mb=cfg.resources.train.mem_mb,
        runtime=runtime("train"),
        launcher=launcher(),
        process_threads=process_threads(),
        execution=execution(),
    params:
        classes=lambda wildcards, input: optional(input.classes),
        inventory=lambda wildcards, input: optional(input.inventory),
        table=lambda wildcards, input: optional(input.table),
        folder=lambda wildcards, input: features_folder(input.features),
        init=lambda wildcards, input: optional(input.init),
        split=lambda wildcards, input: optional(input.split),
        dataset=dataset_section,
        data=losses,
        frames=section("frames"),
        validation=section("validation"),
        network=cfg.spot.network.canonical(),
        features=canonical_json(cfg.spot.features.without_paths()),
        losses=spot_weights,
        train=spot_training,
        split_seed=cfg.spot.labels.seed,
        seed=seed_of,
        revision=revision("ssdet.train.spot"),
    message:
        "Training SPOT on {wildcards.dataset} with {wildcards.labels} % of the labels,"
        " on {resources.gpu} GPUs"
    shell:
        "export OMP_NUM_THREADS={resources.process_threads};"
        " {resources.launcher} -m ssdet.train.spot"
        " --name {wildcards.dataset} --dataset {params.dataset:q}"
        " --training {input.training:q} --testing {input.testing:q}"
        " --classes={params.classes:q} --inventory={params.inventory:q}"
        " --frames {params.frames:q} --data {params.data:q}"
        " --features-dir {params.folder:q} --features-table={params.table:q}"
        " --network {params.network:q} --features {params.features:q}"
        " --losses {params.losses:q} --validation {params.validation:q}"
        " --train {params.train:q} --init={params.init:q}"
        " --labelled {wildcards.labels} --split-file={params.split:q}"
        " --split-seed {params.split_seed}"
        " --seed {params.seed} {resources.execution}"
        " --out {output.checkpoint:q} 2> {log:q}"


rule detect_spot:
    input:
        unpack(lambda wildcards: snippets(wildcards, "testing")),
        checkpoint=results("{run}{dataset}/spot/{labels}{variant}/checkpoint.pt"),
        external=external_scores,
    output:
        detections=results("{run}{dataset}/spot/{labels}{variant}/detections.json"),
    log:
        results("logs/detect_spot/{run}{dataset}/{labels}{variant}.log"),
    benchmark:
        results("benchmarks/detect_spot/{run}{dataset}/{labels}{variant}.tsv")
    conda:
        "../../environment.yml"
    threads: cfg.resources.infer.threads
    resources:
        gpu=cfg.resources.infer.gpu,
        mem_mb=cfg.resources.infer.mem_mb,
        runtime=runtime("infer"),
        device=cfg.resources.device,
    params:
        classes=lambda wildcards, input: optional(input.classes),
        inventory=lambda wildcards, input: optional(input.inventory),
        table=lambda wildcards, input: optional(input.table),
        folder=lambda wildcards, input: features_folder(input.features),
        external=lambda wildcards, input: optional(input.external),
        dataset=dataset_section,
        data=losses,
        frames=section("frames"),
        network=cfg.spot.network.canonical(),
        features=canonical_json(cfg.spot.features.without_paths()),
        detect=canonical_json(cfg.spot.detect.without_paths()),
        revision=revision("ssdet.evaluate.detect"),
    message:
        "Segments of {wildcards.dataset} by SPOT with {wildcards.labels} % of the labels"
    shell:
        "export OMP_NUM_THREADS={threads};"
        " python -m ssdet.evaluate.detect"
        " --name {wildcards.dataset} --dataset {params.dataset:q}"
        " --training {input.training:q} --testing {input.testing:q}"
        " --classes={params.classes:q} --inventory={params.inventory:q}"
        " --frames {params.frames:q} --data {params.data:q}"
        " --features-dir {params.folder:q} --features-table={params.table:q}"
        " --network {params.network:q} --features {params.features:q}"
        " --detect {params.detect:q} --external-scores={params.external:q}"
        " --checkpoint {input.checkpoint:q}"
        " --device {resources.device} --out {output.detections:q} 2> {log:q}"


rule label_frames:
    input:
        unpack(lambda wildcards: snippets(wildcards, "training")),
        checkpoint=results("{run}{dataset}/spot/{labels}{variant}/checkpoint.pt"),
    output:
        frame_labels=results("{run}{dataset}/spot/{labels}{variant}/frame_labels.h5"),
    log:
        results("logs/label_frames/{run}{dataset}/{labels}{variant}.log"),
    benchmark:
        results("benchmarks/label_frames/{run}{dataset}/{labels}{variant}.tsv")
    conda:
        "../../environment.yml"
    threads: cfg.resources.infer.threads
    resources:
        gpu=cfg.resources.infer.gpu,
        mem_mb=cfg.resources.infer.mem_mb,
        runtime=runtime("infer"),
        device=cfg.resources.device,
    params:
        classes=lambda wildcards, input: optional(input.classes),
        inventory=lambda wildcards, input: optional(input.inventory),
        table=lambda wildcards, input: optional(input.table),
        folder=lambda wildcards, input: features_folder(input.features),
        dataset=dataset_section,
        data=losses,
        frames=section("frames"),
        network=cfg.spot.network.canonical(),
        features=canonical_json(cfg.spot.features.without_paths()),
        frame_labels=cfg.spot.frame_labels.canonical(),
        revision=revision("ssdet.evaluate.label_frames"),
    message:
        "Labels over time of {wildcards.dataset} by SPOT with {wildcards.labels} % of the"
        " labels"
    shell:
        "export OMP_NUM_THREADS={threads};"
        " python -m ssdet.evaluate.label_frames"
        " --name {wildcards.dataset} --dataset {params.dataset:q}"
        " --training {input.training:q} --testing {input.testing:q}"
        " --classes={params.classes:q} --inventory={params.inventory:q}"
        " --frames {params.frames:q} --data {params.data:q}"
        " --features-dir {params.folder:q} --features-table={params.table:q}"
        " --network {params.network:q} --features {params.features:q}"
        " --frame-labels {params.frame_labels:q}"
        " --checkpoint {input.checkpoint:q}"
        " --device {resources.device} --out {output.frame_labels:q} 2> {log:q}"


rule evaluate_segments:
    input:
        unpack(lambda wildcards: annotated(wildcards.dataset)),
        detections=results("{run}{dataset}/spot/{labels}{variant}/detections.json"),
        table=lambda wildcards: snippet_table(wildcards.dataset),
        external=external_scores,
    output:
        result=report(
            results("{run}{dataset}_spot_{labels}{variant}.json"),
            caption="../report/segments.rst",
            category="Results",
            subcategory="Segments",
            labels=lambda wildcards: {
                "data set": wildcards.dataset,
                "result": f"SPOT, {wildcards.labels} % of the labels"
                f"{wildcards.variant.replace('_', ' ')}",
                "seed": str(seed_of(wildcards)),
            },
        ),
    log:
        results("logs/evaluate_segments/{run}{dataset}_spot_{labels}{variant}.log"),
    benchmark:
        results(
            "benchmarks/evaluate_segments/{run}{dataset}_spot_{labels}{variant}.tsv"
        )
    conda:
        "../../environment.yml"
    threads: cfg.resources.report.threads
    resources:
        gpu=cfg.resources.report.gpu,
        mem_mb=cfg.resources.report.mem_mb,
        runtime=runtime("report"),
    params:
        classes=lambda wildcards, input: optional(input.classes),
        inventory=lambda wildcards, input: optional(input.inventory),
        table=lambda wildcards, input: optional(input.table),
        external=lambda wildcards, input: optional(input.external),
        dataset=dataset_section,
        seed=seed_of,
        revision=revision("ssdet.evaluate.segments"),
    message:
        "Evaluating SPOT on {wildcards.dataset}, with {wildcards.labels} % of the labels"
    shell:
        "export OMP_NUM_THREADS={threads};"
        " python -m ssdet.evaluate.segments"
        " --name {wildcards.dataset} --dataset {params.dataset:q}"
        " --training {input.training:q} --testing {input.testing:q}"
        " --classes={params.classes:q} --inventory={params.inventory:q}"
        " --features-table={params.table:q}"
        " --detections {input.detections:q}"
        " --result-name spot_{wildcards.labels}{wildcards.variant}"
        " --external-scores={params.external:q}"
        " --seed {params.seed} --out {output.result:q} 2> {log:q}"
