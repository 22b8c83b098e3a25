"""Pretraining, and the detectors that start from it.

A training keeps its state beside its output, in <output>.resume/, which Snakemake does
not know: an attempt that was cut off is continued by the next one.
"""


rule pretrain:
    input:
        unpack(lambda wildcards: labels(cfg.classification, pretrained=True)),
        inventory=results(f"{cfg.classification}/inventory.csv"),
        frames=lambda wildcards: frame_shards(cfg.classification, *SPLITS),
        init=[] if cfg.pretrain.init is None else cfg.pretrain.init,
        frame_labels=lambda wildcards: pretraining_labels(),
    output:
        checkpoint=results("{run}pretrain/{pretext}/checkpoint.pt"),
        record=results("{run}pretrain/{pretext}/checkpoint.json"),
        metrics=results("{run}pretrain/{pretext}/checkpoint.jsonl"),
    log:
        results("logs/pretrain/{run}{pretext}.log"),
    benchmark:
        results("benchmarks/pretrain/{run}{pretext}.tsv")
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
        init=lambda wildcards, input: optional(input.init),
        frame_labels=lambda wildcards, input: optional(input.frame_labels),
        classes=lambda wildcards, input: optional(input.classes),
        name=cfg.classification,
        dataset=canonical_json(cfg.datasets[cfg.classification].without_paths()),
        frames=section("frames"),
        model=section("model"),
        spatial=section("spatial"),
        pretrain=section("pretrain"),
        augment=section("augment"),
        seed=seed_of,
        revision=revision("ssdet.train.pretrain"),
    message:
        "Pretraining {wildcards.pretext} on {resources.gpu} GPUs"
    shell:
        "export OMP_NUM_THREADS={resources.process_threads};"
        " {resources.launcher} -m ssdet.train.pretrain"
        " --name {params.name} --dataset {params.dataset:q}"
        " --training {input.training:q} --testing {input.testing:q}"
        " --classes={params.classes:q}"
        " --inventory {input.inventory:q}"
        ' --frames-dir "$(dirname {input.frames[0]:q})" --frames {params.frames:q}'
        " --pretext {wildcards.pretext} --init={params.init:q}"
        " --frame-labels={params.frame_labels:q}"
        " --model {params.model:q} --spatial {params.spatial:q}"
        " --pretrain {params.pretrain:q} --augment {params.augment:q}"
        " --seed {params.seed} {resources.execution}"
        " --out {output.checkpoint:q} 2> {log:q}"


rule train_fine:
    input:
        unpack(lambda wildcards: labels(wildcards.dataset, pretrained=True)),
        inventory=results("{dataset}/inventory.csv"),
        frames=lambda wildcards: frame_shards(wildcards.dataset, "training"),
        init=lambda wildcards: pretrained(wildcards, wildcards.pretext),
    output:
        checkpoint=results("{run}{dataset}/fine/{pretext}/checkpoint.pt"),
        record=results("{run}{dataset}/fine/{pretext}/checkpoint.json"),
        metrics=results("{run}{dataset}/fine/{pretext}/checkpoint.jsonl"),
    log:
        results("logs/train_fine/{run}{dataset}/{pretext}.log"),
    benchmark:
        results("benchmarks/train_fine/{run}{dataset}/{pretext}.tsv")
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
        dataset=dataset_section,
        frames=section("frames"),
        model=section("model"),
        spatial=section("spatial"),
        sampling=section("sampling"),
        validation=section("validation"),
        fine=section("fine"),
        seed=seed_of,
        revision=revision("ssdet.train.fine"),
    message:
        "Training the single stream of {wildcards.dataset}, pretrained by"
        " {wildcards.pretext}, on {resources.gpu} GPUs"
    shell:
        "export OMP_NUM_THREADS={resources.process_threads};"
        " {resources.launcher} -m ssdet.train.fine"
        " --name {wildcards.dataset} --dataset {params.dataset:q}"
        " --training {input.training:q} --testing {input.testing:q}"
        " --classes={params.classes:q}"
        " --inventory {input.inventory:q}"
        ' --frames-dir "$(dirname {input.frames[0]:q})" --frames {params.frames:q}'
        " --pretext {wildcards.pretext} --init {input.init:q}"
        " --model {params.model:q} --spatial {params.spatial:q}"
        " --sampling {params.sampling:q} --validation {params.validation:q}"
        " --fine {params.fine:q}"
        " --seed {params.seed} {resources.execution}"
        " --out {output.checkpoint:q} 2> {log:q}"


rule train_coarse_fine:
    input:
        unpack(lambda wildcards: labels(wildcards.dataset, pretrained=True)),
        inventory=results("{dataset}/inventory.csv"),
        frames=lambda wildcards: frame_shards(wildcards.dataset, "training"),
        features=lambda wildcards: feature_shards(wildcards, wildcards.fine, "training"),
        init=lambda wildcards: pretrained(wildcards, wildcards.coarse),
    output:
        checkpoint=results("{run}{dataset}/coarse_fine/{coarse}_{fine}/checkpoint.pt"),
        record=results("{run}{dataset}/coarse_fine/{coarse}_{fine}/checkpoint.json"),
        metrics=results("{run}{dataset}/coarse_fine/{coarse}_{fine}/checkpoint.jsonl"),
    log:
        results("logs/train_coarse_fine/{run}{dataset}/{coarse}_{fine}.log"),
    benchmark:
        results("benchmarks/train_coarse_fine/{run}{dataset}/{coarse}_{fine}.tsv")
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
        dataset=dataset_section,
        frames=section("frames"),
        model=section("model"),
        spatial=section("spatial"),
        sampling=section("sampling"),
        validation=section("validation"),
        coarse_fine=section("coarse_fine"),
        seed=seed_of,
        revision=revision("ssdet.train.coarse_fine"),
    message:
        "Training the two streams of {wildcards.dataset}, coarse {wildcards.coarse} with"
        " fine {wildcards.fine}, on {resources.gpu} GPUs"
    shell:
        "export OMP_NUM_THREADS={resources.process_threads};"
        " {resources.launcher} -m ssdet.train.coarse_fine"
        " --name {wildcards.dataset} --dataset {params.dataset:q}"
        " --training {input.training:q} --testing {input.testing:q}"
        " --classes={params.classes:q}"
        " --inventory {input.inventory:q}"
        ' --frames-dir "$(dirname {input.frames[0]:q})" --frames {params.frames:q}'
        ' --features-dir "$(dirname {input.features[0]:q})"'
        " --coarse {wildcards.coarse} --fine {wildcards.fine} --init {input.init:q}"
        " --model {params.model:q} --spatial {params.spatial:q}"
        " --sampling {params.sampling:q} --validation {params.validation:q}"
        " --coarse-fine {params.coarse_fine:q}"
        " --seed {params.seed} {resources.execution}"
        " --out {output.checkpoint:q} 2> {log:q}"


rule train_coarse:
    input:
        unpack(lambda wildcards: labels(wildcards.dataset, pretrained=True)),
        inventory=results("{dataset}/inventory.csv"),
        frames=lambda wildcards: frame_shards(wildcards.dataset, "training"),
        init=lambda wildcards: pretrained(wildcards, wildcards.pretext),
    output:
        checkpoint=results("{run}{dataset}/coarse/{pretext}/checkpoint.pt"),
        record=results("{run}{dataset}/coarse/{pretext}/checkpoint.json"),
        metrics=results("{run}{dataset}/coarse/{pretext}/checkpoint.jsonl"),
    log:
        results("logs/train_coarse/{run}{dataset}/{pretext}.log"),
    benchmark:
        results("benchmarks/train_coarse/{run}{dataset}/{pretext}.tsv")
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
        dataset=dataset_section,
        frames=section("frames"),
        model=section("model"),
        spatial=section("spatial"),
        sampling=section("sampling"),
        validation=section("validation"),
        coarse=section("coarse"),
        seed=seed_of,
        revision=revision("ssdet.train.coarse"),
    message:
        "Training the coarse stream of {wildcards.dataset}, pretrained by"
        " {wildcards.pretext}, on {resources.gpu} GPUs"
    shell:
        "export OMP_NUM_THREADS={resources.process_threads};"
        " {resources.launcher} -m ssdet.train.coarse"
        " --name {wildcards.dataset} --dataset {params.dataset:q}"
        " --training {input.training:q} --testing {input.testing:q}"
        " --classes={params.classes:q}"
        " --inventory {input.inventory:q}"
        ' --frames-dir "$(dirname {input.frames[0]:q})" --frames {params.frames:q}'
        " --pretext {wildcards.pretext} --init {input.init:q}"
        " --model {params.model:q} --spatial {params.spatial:q}"
        " --sampling {params.sampling:q} --validation {params.validation:q}"
        " --coarse {params.coarse:q}"
        " --seed {params.seed} {resources.execution}"
        " --out {output.checkpoint:q} 2> {log:q}"
