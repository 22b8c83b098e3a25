"""Videos and labels become an inventory and packed frames."""

if cfg.synthetic:

    rule synthetic:
        output:
            **{
                f"{dataset}_{key.rpartition('.')[2]}": path
                for dataset, paths in generated_files().items()
                for key, path in paths.items()
                if path and key != "videos"
            },
        log:
            results("logs/synthetic.log"),
        benchmark:
            results("benchmarks/synthetic.tsv")
        conda:
            "../../environment.yml"
        threads: cfg.resources.data.threads
        resources:
            gpu=cfg.resources.data.gpu,
            mem_mb=cfg.resources.data.mem_mb,
            runtime=runtime("data"),
        params:
            synthetic=section("synthetic"),
            seed=cfg.seed,
            revision=revision("ssdet.data.synthetic"),
            out_dir=results("synthetic"),
        message:
            "Generating videos below {params.out_dir}"
        shell:
            "export OMP_NUM_THREADS=1;"
            " python -m ssdet.data.synthetic"
            " --synthetic {params.synthetic:q} --seed {params.seed}"
            " --workers {threads} --out-dir {params.out_dir:q} 2> {log:q}"


rule inventory:
    input:
        unpack(lambda wildcards: read_labels(wildcards.dataset)),
    output:
        inventory=results("{dataset}/inventory.csv"),
    log:
        results("logs/inventory/{dataset}.log"),
    benchmark:
        results("benchmarks/inventory/{dataset}.tsv")
    conda:
        "../../environment.yml"
    threads: cfg.resources.data.threads
    resources:
        gpu=cfg.resources.data.gpu,
        mem_mb=cfg.resources.data.mem_mb,
        runtime=runtime("data"),
    params:
        classes=lambda wildcards, input: optional(input.classes),
        dataset=recipe("format", "segments"),
        videos=lambda wildcards: cfg.datasets[wildcards.dataset].videos,
        folder_fps=rate_of_folders,
        data=losses,
        revision=revision("ssdet.data.inventory"),
    message:
        "Looking at every video of {wildcards.dataset}"
    shell:
        "export OMP_NUM_THREADS=1;"
        " python -m ssdet.data.inventory"
        " --name {wildcards.dataset} --dataset {params.dataset:q}"
        " --training {input.training:q} --testing {input.testing:q}"
        " --classes={params.classes:q}"
        " --videos {params.videos:q} --data {params.data:q} {params.folder_fps}"
        " --workers {threads} --out {output.inventory:q} 2> {log:q}"


# Without a message: of thousands of shards it is a tenth of the plan.
rule extract_frames:
    input:
        inventory=results("{dataset}/inventory.csv"),
    output:
        frames=results("{dataset}/frames/shard-{shard}.h5"),
    log:
        results("logs/extract_frames/{dataset}/shard-{shard}.log"),
    benchmark:
        results("benchmarks/extract_frames/{dataset}/shard-{shard}.tsv")
    conda:
        "../../environment.yml"
    threads: cfg.resources.data.threads
    resources:
        gpu=cfg.resources.data.gpu,
        mem_mb=cfg.resources.data.mem_mb,
        runtime=runtime("data"),
    params:
        dataset=recipe("fps"),
        frames=section("frames"),
        revision=revision("ssdet.data.frames"),
    shell:
        "export OMP_NUM_THREADS=1;"
        " python -m ssdet.data.frames"
        " --name {wildcards.dataset} --inventory {input.inventory:q}"
        " --dataset {params.dataset:q} --frames {params.frames:q}"
        " --shard {wildcards.shard} --workers {threads}"
        " --out {output.frames:q} 2> {log:q}"
