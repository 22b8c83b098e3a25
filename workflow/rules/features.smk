"""Features of whole videos, cached: for two-stream networks and heads, and for SPOT."""


# Without a message, as extract_frames.
rule extract_features:
    input:
        unpack(lambda wildcards: labels(wildcards.dataset, pretrained=True)),
        inventory=results("{dataset}/inventory.csv"),
        frames=results("{dataset}/frames/shard-{shard}.h5"),
        checkpoint=results("{run}{dataset}/fine/{pretext}/checkpoint.pt"),
    output:
        features=results("{run}{dataset}/features/{pretext}/{split}/shard-{shard}.h5"),
    log:
        results(
            "logs/extract_features/{run}{dataset}/{pretext}/{split}/shard-{shard}.log"
        ),
    benchmark:
        results(
            "benchmarks/extract_features/{run}{dataset}/{pretext}/{split}/shard-{shard}.tsv"
        )
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
        dataset=dataset_section,
        frames=section("frames"),
        spatial=section("spatial"),
        sampling=section("sampling"),
        features=section("features"),
        revision=revision("ssdet.features.extract"),
    shell:
        "export OMP_NUM_THREADS={threads};"
        " python -m ssdet.features.extract"
        " --name {wildcards.dataset} --dataset {params.dataset:q}"
        " --training {input.training:q} --testing {input.testing:q}"
        " --classes={params.classes:q}"
        " --inventory {input.inventory:q}"
        ' --frames-dir "$(dirname {input.frames:q})" --frames {params.frames:q}'
        " --shard {wildcards.shard} --split {wildcards.split}"
        " --checkpoint {input.checkpoint:q}"
        " --spatial {params.spatial:q} --sampling {params.sampling:q}"
        " --features {params.features:q}"
        " --device {resources.device} --out {output.features:q} 2> {log:q}"


use rule extract_features as extract_pretrained with:
    input:
        unpack(lambda wildcards: labels(wildcards.dataset, pretrained=True)),
        inventory=results("{dataset}/inventory.csv"),
        frames=results("{dataset}/frames/shard-{shard}.h5"),
        checkpoint=results("{run}pretrain/{pretext}/checkpoint.pt"),
    output:
        features=results(
            "{run}{dataset}/features/pretrained_{pretext}/{split}/shard-{shard}.h5"
        ),
    log:
        results(
            "logs/extract_pretrained/{run}{dataset}/{pretext}/{split}/shard-{shard}.log"
        ),
    benchmark:
        results(
            "benchmarks/extract_pretrained/{run}{dataset}/{pretext}/{split}/shard-{shard}.tsv"
        )
