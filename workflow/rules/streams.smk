"""The slow stream alone, and networks whose streams are both run in training.

A training keeps its state as in train.smk.
"""


rule train_slow:
    input:
        unpack(lambda wildcards: labels(wildcards.dataset, pretrained=True)),
        inventory=results("{dataset}/inventory.csv"),
        frames=lambda wildcards: frame_shards(wildcards.dataset, "training"),
        init=lambda wildcards: pretrained(wildcards, wildcards.pretext),
    output:
        checkpoint=results("{run}{dataset}/slow/{pretext}/checkpoint.pt"),
        record=results("{run}{dataset}/slow/{pretext}/checkpoint.json"),
        metrics=results("{run}{dataset}/slow/{pretext}/checkpoint.jsonl"),
    log:
        results("logs/train_slow/{run}{dataset}/{pretext}.log"),
    benchmark:
        results("benchmarks/train_slow/{run}{dataset}/{pretext}.tsv")
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
        slow=section("slow"),
        seed=seed_of,
        revision=revision("ssdet.train.slow"),
    message:
        "Training the slow stream of {wildcards.dataset}, pretrained by"
        " {wildcards.pretext}, on {resources.gpu} GPUs"
    shell:
        "export OMP_NUM_THREADS={resources.process_threads};"
        " {resources.launcher} -m ssdet.train.slow"
        " --name {wildcards.dataset} --dataset {params.dataset:q}"
        " --training {input.training:q} --testing {input.testing:q}"
        " --classes={params.classes:q}"
        " --inventory {input.inventory:q}"
        ' --frames-dir "$(dirname {input.frames[0]:q})" --frames {params.frames:q}'
        " --pretext {wildcards.pretext} --init {input.init:q}"
        " --model {params.model:q} --spatial {params.spatial:q}"
        " --sampling {params.sampling:q} --validation {params.validation:q}"
        " --slow {params.slow:q}"
        " --seed {params.seed} {resources.execution}"
        " --out {output.checkpoint:q} 2> {log:q}"


rule train_slowfast:
    input:
        unpack(lambda wildcards: labels(wildcards.dataset, pretrained=True)),
        inventory=results("{dataset}/inventory.csv"),
        frames=lambda wildcards: frame_shards(wildcards.dataset, "training"),
        init=lambda wildcards: pretrained(wildcards, wildcards.slow),
        fast=lambda wildcards: detector(wildcards, wildcards.fast),
    output:
        checkpoint=results("{run}{dataset}/slowfast/{slow}_{fast}/checkpoint.pt"),
        record=results("{run}{dataset}/slowfast/{slow}_{fast}/checkpoint.json"),
        metrics=results("{run}{dataset}/slowfast/{slow}_{fast}/checkpoint.jsonl"),
    log:
        results("logs/train_slowfast/{run}{dataset}/{slow}_{fast}.log"),
    benchmark:
        results("benchmarks/train_slowfast/{run}{dataset}/{slow}_{fast}.tsv")
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
        slowfast=section("slowfast"),
        seed=seed_of,
        revision=revision("ssdet.train.slowfast"),
    message:
        "Training SlowFast_det of {wildcards.dataset}, slow {wildcards.slow} with"
        " fast {wildcards.fast}, on {resources.gpu} GPUs"
    shell:
        "export OMP_NUM_THREADS={resources.process_threads};"
        " {resources.launcher} -m ssdet.train.slowfast"
        " --name {wildcards.dataset} --dataset {params.dataset:q}"
        " --training {input.training:q} --testing {input.testing:q}"
        " --classes={params.classes:q}"
        " --inventory {input.inventory:q}"
        ' --frames-dir "$(dirname {input.frames[0]:q})" --frames {params.frames:q}'
        " --slow {wildcards.slow} --init {input.init:q}"
        " --fast {wildcards.fast} --fast-init {input.fast:q}"
        " --model {params.model:q} --spatial {params.spatial:q}"
        " --sampling {params.sampling:q} --validation {params.validation:q}"
        " --slowfast {params.slowfast:q}"
        " --seed {params.seed} {resources.execution}"
        " --out {output.checkpoint:q} 2> {log:q}"


rule train_end_to_end:
    input:
        unpack(lambda wildcards: labels(wildcards.dataset, pretrained=True)),
        inventory=results("{dataset}/inventory.csv"),
        frames=lambda wildcards: frame_shards(wildcards.dataset, "training"),
        init=lambda wildcards: pretrained(wildcards, wildcards.coarse),
        fine=lambda wildcards: detector(wildcards, wildcards.fine),
    output:
        checkpoint=results("{run}{dataset}/end_to_end/{coarse}_{fine}/checkpoint.pt"),
        record=results("{run}{dataset}/end_to_end/{coarse}_{fine}/checkpoint.json"),
        metrics=results("{run}{dataset}/end_to_end/{coarse}_{fine}/checkpoint.jsonl"),
    log:
        results("logs/train_end_to_end/{run}{dataset}/{coarse}_{fine}.log"),
    benchmark:
        results("benchmarks/train_end_to_end/{run}{dataset}/{coarse}_{fine}.tsv")
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
        end_to_end=section("end_to_end"),
        pool=cfg.features.pool,
        seed=seed_of,
        revision=revision("ssdet.train.end_to_end"),
    message:
        "Training coarse {wildcards.coarse} and fine {wildcards.fine} of"
        " {wildcards.dataset} together, on {resources.gpu} GPUs"
    shell:
        "export OMP_NUM_THREADS={resources.process_threads};"
        " {resources.launcher} -m ssdet.train.end_to_end"
        " --name {wildcards.dataset} --dataset {params.dataset:q}"
        " --training {input.training:q} --testing {input.testing:q}"
        " --classes={params.classes:q}"
        " --inventory {input.inventory:q}"
        ' --frames-dir "$(dirname {input.frames[0]:q})" --frames {params.frames:q}'
        " --coarse {wildcards.coarse} --init {input.init:q}"
        " --fine {wildcards.fine} --fine-init {input.fine:q}"
        " --model {params.model:q} --spatial {params.spatial:q}"
        " --sampling {params.sampling:q} --validation {params.validation:q}"
        " --end-to-end {params.end_to_end:q} --pool {params.pool}"
        " --seed {params.seed} {resources.execution}"
        " --out {output.checkpoint:q} 2> {log:q}"
