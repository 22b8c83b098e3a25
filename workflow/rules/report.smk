"""Tables and figures of the results."""


rule tables:
    input:
        results=reported_results,
    output:
        csv=results("tables/{dataset}.csv"),
        md=report(
            results("tables/{dataset}.md"),
            caption="../report/table.rst",
            category="Results",
            subcategory="Tables",
            labels={"table": "scores on {dataset}"},
        ),
    log:
        results("logs/tables/{dataset}.log"),
    benchmark:
        results("benchmarks/tables/{dataset}.tsv")
    localrule: True
    conda:
        "../../environment.yml"
    threads: 1
    params:
        revision=revision("ssdet.report.tables"),
    message:
        "Table of {wildcards.dataset}"
    shell:
        "export OMP_NUM_THREADS={threads};"
        " python -m ssdet.report.tables"
        " --results {input.results:q}"
        " --out-csv {output.csv:q} --out-md {output.md:q} 2> {log:q}"


rule cost:
    output:
        csv=results("tables/cost.csv"),
        md=report(
            results("tables/cost.md"),
            caption="../report/cost.rst",
            category="Results",
            subcategory="Tables",
            labels={"table": "cost of every model"},
        ),
    log:
        results("logs/cost/cost.log"),
    benchmark:
        results("benchmarks/cost/cost.tsv")
    localrule: True
    conda:
        "../../environment.yml"
    threads: 1
    params:
        model=section("model"),
        crop=cfg.spatial.crop,
        pool=cfg.features.pool,
        models=member_sections(),
        revision=revision("ssdet.report.cost"),
    message:
        "Parameters and multiply-adds of every model"
    shell:
        "export OMP_NUM_THREADS={threads};"
        " python -m ssdet.report.cost"
        " --model {params.model:q} --crop {params.crop} --pool {params.pool}"
        " --results {params.models:q}"
        " --out-csv {output.csv:q} --out-md {output.md:q} 2> {log:q}"


rule figures:
    input:
        unpack(lambda wildcards: labels(wildcards.dataset, pretrained=True)),
        inventory=results("{dataset}/inventory.csv"),
        result=results("{dataset}_{name}.json"),
        members=member_predictions,
    output:
        ap=report(
            results("figures/{dataset}_{name}_ap.svg"),
            caption="../report/average_precision.rst",
            category="Figures",
            subcategory="Average precision",
            labels={"data set": "{dataset}", "result": "{name}"},
        ),
        timeline=report(
            results("figures/{dataset}_{name}_timeline.svg"),
            caption="../report/timeline.rst",
            category="Figures",
            subcategory="Timelines",
            labels={"data set": "{dataset}", "result": "{name}", "kind": "figure"},
        ),
        page=report(
            results("figures/{dataset}_{name}_timeline.html"),
            caption="../report/timeline_page.rst",
            category="Figures",
            subcategory="Timelines",
            labels={"data set": "{dataset}", "result": "{name}", "kind": "page"},
        ),
    log:
        results("logs/figures/{dataset}_{name}.log"),
    benchmark:
        results("benchmarks/figures/{dataset}_{name}.tsv")
    conda:
        "../../environment.yml"
    threads: cfg.resources.report.threads
    resources:
        gpu=cfg.resources.report.gpu,
        mem_mb=cfg.resources.report.mem_mb,
        runtime=runtime("report"),
    params:
        classes=lambda wildcards, input: optional(input.classes),
        dataset=dataset_section,
        videos=cfg.report.timeline_videos,
        revision=revision("ssdet.report.figures"),
    message:
        "Figures of {wildcards.name} on {wildcards.dataset}"
    shell:
        "export OMP_NUM_THREADS={threads};"
        " python -m ssdet.report.figures"
        " --name {wildcards.dataset} --dataset {params.dataset:q}"
        " --training {input.training:q} --testing {input.testing:q}"
        " --classes={params.classes:q}"
        " --inventory {input.inventory:q} --result {input.result:q}"
        " --members {input.members:q} --videos {params.videos}"
        " --out-ap {output.ap:q} --out-timeline {output.timeline:q}"
        " --out-page {output.page:q} 2> {log:q}"


rule grid:
    input:
        unpack(lambda wildcards: labels(wildcards.dataset, pretrained=True)),
        inventory=results("{dataset}/inventory.csv"),
        predictions=results("{dataset}/predictions/{model}.h5"),
    output:
        grid=report(
            results("figures/{dataset}_{model}_grid.svg"),
            caption="../report/grid.rst",
            category="Figures",
            subcategory="Kept frames",
            labels={"data set": "{dataset}", "result": "{model}"},
        ),
    log:
        results("logs/grid/{dataset}_{model}.log"),
    benchmark:
        results("benchmarks/grid/{dataset}_{model}.tsv")
    conda:
        "../../environment.yml"
    threads: cfg.resources.report.threads
    resources:
        gpu=cfg.resources.report.gpu,
        mem_mb=cfg.resources.report.mem_mb,
        runtime=runtime("report"),
    params:
        classes=lambda wildcards, input: optional(input.classes),
        dataset=dataset_section,
        videos=cfg.report.timeline_videos,
        revision=revision("ssdet.report.grid"),
    message:
        "Frames that {wildcards.model} keeps of {wildcards.dataset}"
    shell:
        "export OMP_NUM_THREADS={threads};"
        " python -m ssdet.report.grid"
        " --name {wildcards.dataset} --dataset {params.dataset:q}"
        " --training {input.training:q} --testing {input.testing:q}"
        " --classes={params.classes:q}"
        " --inventory {input.inventory:q} --predictions {input.predictions:q}"
        " --videos {params.videos} --out {output.grid:q} 2> {log:q}"


rule errors:
    input:
        unpack(lambda wildcards: labels(wildcards.dataset, pretrained=True)),
        inventory=results("{dataset}/inventory.csv"),
        result=results("{dataset}_{name}.json"),
        members=member_predictions,
    output:
        classes=results("tables/{dataset}_{name}_errors.csv"),
        groups=results("tables/{dataset}_{name}_error_groups.csv"),
        figure=report(
            results("figures/{dataset}_{name}_errors.svg"),
            caption="../report/errors.rst",
            category="Figures",
            subcategory="Errors",
            labels={"data set": "{dataset}", "result": "{name}"},
        ),
    log:
        results("logs/errors/{dataset}_{name}.log"),
    benchmark:
        results("benchmarks/errors/{dataset}_{name}.tsv")
    conda:
        "../../environment.yml"
    threads: cfg.resources.report.threads
    resources:
        gpu=cfg.resources.report.gpu,
        mem_mb=cfg.resources.report.mem_mb,
        runtime=runtime("report"),
    params:
        classes=lambda wildcards, input: optional(input.classes),
        dataset=dataset_section,
        boundary_s=cfg.report.boundary_s,
        resamples=cfg.report.resamples,
        seed=cfg.seed,
        revision=revision("ssdet.report.errors"),
    message:
        "Errors of {wildcards.name} on {wildcards.dataset}"
    shell:
        "export OMP_NUM_THREADS={threads};"
        " python -m ssdet.report.errors"
        " --name {wildcards.dataset} --dataset {params.dataset:q}"
        " --training {input.training:q} --testing {input.testing:q}"
        " --classes={params.classes:q}"
        " --inventory {input.inventory:q} --result {input.result:q}"
        " --members {input.members:q} --boundary-s {params.boundary_s}"
        " --resamples {params.resamples} --seed {params.seed}"
        " --out-classes {output.classes:q} --out-groups {output.groups:q}"
        " --out-figure {output.figure:q} 2> {log:q}"


rule strips:
    input:
        unpack(lambda wildcards: labels(cfg.classification)),
        inventory=results(f"{cfg.classification}/inventory.csv"),
        frames=lambda wildcards: frame_shards(cfg.classification, "training"),
    output:
        strips=report(
            results("figures/augmentations.svg"),
            caption="../report/strips.rst",
            category="Figures",
            subcategory="Augmentations",
            labels={"data set": cfg.classification},
        ),
    log:
        results("logs/strips/augmentations.log"),
    benchmark:
        results("benchmarks/strips/augmentations.tsv")
    conda:
        "../../environment.yml"
    threads: cfg.resources.report.threads
    resources:
        gpu=cfg.resources.report.gpu,
        mem_mb=cfg.resources.report.mem_mb,
        runtime=runtime("report"),
    params:
        classes=lambda wildcards, input: optional(input.classes),
        name=cfg.classification,
        dataset=canonical_json(cfg.datasets[cfg.classification].without_paths()),
        frames=section("frames"),
        augment=section("augment"),
        samples=cfg.pretrain.frames,
        stride=cfg.pretrain.stride,
        crop=cfg.spatial.crop,
        revision=revision("ssdet.report.strips"),
    message:
        "A picture of each augmentation"
    shell:
        "export OMP_NUM_THREADS={threads};"
        " python -m ssdet.report.strips"
        " --name {params.name} --dataset {params.dataset:q}"
        " --training {input.training:q} --testing {input.testing:q}"
        " --classes={params.classes:q}"
        " --inventory {input.inventory:q}"
        ' --frames-dir "$(dirname {input.frames[0]:q})" --frames {params.frames:q}'
        " --augment {params.augment:q} --samples {params.samples}"
        " --stride {params.stride} --crop {params.crop}"
        " --out {output.strips:q} 2> {log:q}"
