"""How the results of a data set were made: stages, hours, provenance, trainings."""


rule overview:
    input:
        results=reported_results,
    output:
        page=report(
            results("figures/{dataset}_overview.html"),
            caption="../report/overview.rst",
            category="At a glance",
            labels={"page": "results, stages, hours", "data set": "{dataset}"},
        ),
        provenance=report(
            results("figures/{dataset}_provenance.html"),
            caption="../report/provenance.rst",
            category="At a glance",
            labels={"page": "where results came from", "data set": "{dataset}"},
        ),
        csv=results("tables/{dataset}_hours.csv"),
        md=results("tables/{dataset}_hours.md"),
    log:
        results("logs/overview/{dataset}.log"),
    benchmark:
        results("benchmarks/overview/{dataset}.tsv")
    localrule: True
    conda:
        "../../environment.yml"
    threads: 1
    params:
        benchmarks=results("benchmarks"),
        classification=cfg.classification,
        revision=revision("ssdet.report.overview"),
    message:
        "How the results of {wildcards.dataset} were made"
    shell:
        "export OMP_NUM_THREADS={threads};"
        " python -m ssdet.report.overview"
        " --results {input.results:q} --benchmarks {params.benchmarks:q}"
        " --datasets {wildcards.dataset} {params.classification}"
        " --out-page {output.page:q} --out-provenance {output.provenance:q}"
        " --out-csv {output.csv:q} --out-md {output.md:q} 2> {log:q}"


rule curves:
    input:
        results=reported_results,
    output:
        curves=report(
            results("figures/{dataset}_curves.svg"),
            caption="../report/curves.rst",
            category="Figures",
            subcategory="Trainings",
            labels={"data set": "{dataset}"},
        ),
    log:
        results("logs/curves/{dataset}.log"),
    benchmark:
        results("benchmarks/curves/{dataset}.tsv")
    localrule: True
    conda:
        "../../environment.yml"
    threads: 1
    params:
        revision=revision("ssdet.report.curves"),
    message:
        "Curves of the trainings of {wildcards.dataset}"
    shell:
        "export OMP_NUM_THREADS={threads};"
        " python -m ssdet.report.curves"
        " --results {input.results:q} --out {output.curves:q} 2> {log:q}"
