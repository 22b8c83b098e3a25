"""Temporal heads on cached features."""


rule train_head:
    input:
        unpack(lambda wildcards: labels(wildcards.dataset, pretrained=True)),
        inventory=results("{dataset}/inventory.csv"),
        features=lambda wildcards: step_features(wildcards, "training"),
        tested=lambda wildcards: (
            step_features(wildcards, "testing") if cfg.head.watch_test else []
        ),
    output:
        checkpoint=results("{run}{dataset}/heads/{head}/{source}/checkpoint.pt"),
        record=results("{run}{dataset}/heads/{head}/{source}/checkpoint.json"),
        metrics=results("{run}{dataset}/heads/{head}/{source}/checkpoint.jsonl"),
    log:
        results("logs/train_head/{run}{dataset}/{head}_{source}.log"),
    benchmark:
        results("benchmarks/train_head/{run}{dataset}/{head}_{source}.tsv")
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
        validation=section("validation"),
        head=lambda wildcards: cfg.head.section(
            wildcards.head, wildcards.dataset
        ).canonical(),
        seed=seed_of,
        revision=revision("ssdet.train.head"),
        folder=lambda wildcards, input: folder_of(input.features),
        tested=lambda wildcards, input: folder_of(input.tested),
        external=lambda wildcards: external(wildcards.source),
    message:
        "Training the head {wildcards.head} of {wildcards.dataset} on features by"
        " {wildcards.source}"
    shell:
        "export OMP_NUM_THREADS={resources.process_threads};"
        " {resources.launcher} -m ssdet.train.head"
        " --name {wildcards.dataset} --dataset {params.dataset:q}"
        " --training {input.training:q} --testing {input.testing:q}"
        " --classes={params.classes:q}"
        " --inventory {input.inventory:q} --frames {params.frames:q}"
        " --head-name {wildcards.head} --pretext {wildcards.source}"
        " --features-dir {params.folder:q} {params.external}"
        " --test-features-dir={params.tested:q}"
        " --validation {params.validation:q} --head {params.head:q}"
        " --seed {params.seed} {resources.execution}"
        " --out {output.checkpoint:q} 2> {log:q}"
