"""Predictions of every model, and the means of them that are compared with the labels."""


rule predict:
    input:
        unpack(lambda wildcards: labels(wildcards.dataset, pretrained=True)),
        unpack(model_files),
        inventory=results("{dataset}/inventory.csv"),
        frames=predicted_frames,
    output:
        predictions=results("{run}{dataset}/predictions/{model}.h5"),
    log:
        results("logs/predict/{run}{dataset}/{model}.log"),
    benchmark:
        results("benchmarks/predict/{run}{dataset}/{model}.tsv")
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
        predict=section("predict"),
        revision=revision("ssdet.evaluate.predict"),
        features_dir=lambda wildcards, input: folder_of(input.features),
        head=head_arguments,
        frames_dir=lambda wildcards, input: folder(input.frames),
    message:
        "Predictions of {wildcards.model} for {wildcards.dataset}"
    shell:
        "export OMP_NUM_THREADS={threads};"
        " python -m ssdet.evaluate.predict"
        " --name {wildcards.dataset} --dataset {params.dataset:q}"
        " --training {input.training:q} --testing {input.testing:q}"
        " --classes={params.classes:q}"
        " --inventory {input.inventory:q}"
        " --frames-dir={params.frames_dir:q} --frames {params.frames:q}"
        " --features-dir={params.features_dir:q} {params.head}"
        " --checkpoint {input.checkpoint:q} --model-name {wildcards.model}"
        " --spatial {params.spatial:q} --sampling {params.sampling:q}"
        " --predict {params.predict:q}"
        " --device {resources.device} --out {output.predictions:q} 2> {log:q}"


rule challenge:
    input:
        unpack(lambda wildcards: labels(wildcards.dataset, pretrained=True)),
        inventory=results("{dataset}/inventory.csv"),
        members=member_predictions,
    output:
        submission=results("submissions/{dataset}_{name}.txt"),
    log:
        results("logs/challenge/{dataset}_{name}.log"),
    benchmark:
        results("benchmarks/challenge/{dataset}_{name}.tsv")
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
        revision=revision("ssdet.evaluate.challenge"),
    message:
        "Scores of {wildcards.name} for the challenge's own script"
    shell:
        "export OMP_NUM_THREADS={threads};"
        " python -m ssdet.evaluate.challenge"
        " --name {wildcards.dataset} --dataset {params.dataset:q}"
        " --training {input.training:q} --testing {input.testing:q}"
        " --classes={params.classes:q}"
        " --inventory {input.inventory:q} --members {input.members:q}"
        " --out {output.submission:q} 2> {log:q}"


rule ensemble:
    input:
        unpack(lambda wildcards: labels(wildcards.dataset, pretrained=True)),
        inventory=results("{dataset}/inventory.csv"),
        members=member_predictions,
    output:
        result=report(
            results("{run}{dataset}_{name}.json"),
            caption="../report/result.rst",
            category="Results",
            subcategory="Every result in full",
            labels=lambda wildcards: {
                "data set": wildcards.dataset,
                "result": wildcards.name,
                "seed": str(seed_of(wildcards)),
            },
        ),
    log:
        results("logs/ensemble/{run}{dataset}_{name}.log"),
    benchmark:
        results("benchmarks/ensemble/{run}{dataset}_{name}.tsv")
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
        sections=evaluation_sections,
        seed=seed_of,
        revision=revision("ssdet.evaluate.ensemble"),
    message:
        "Evaluating {wildcards.name} on {wildcards.dataset}"
    shell:
        "export OMP_NUM_THREADS={threads};"
        " python -m ssdet.evaluate.ensemble"
        " --name {wildcards.dataset} --dataset {params.dataset:q}"
        " --training {input.training:q} --testing {input.testing:q}"
        " --classes={params.classes:q}"
        " --inventory {input.inventory:q} --members {input.members:q}"
        " --result-name {wildcards.name} --seed {params.seed}"
        " --sections {params.sections:q} --workers {threads}"
        " --out {output.result:q} 2> {log:q}"
