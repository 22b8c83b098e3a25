"""Published tables and the figure, with our numbers beside theirs."""


rule paper_table:
    input:
        results=lambda wildcards: results_there_are(PAPER.tables[wildcards.table]),
    output:
        csv=results("tables/{table}.csv"),
        md=report(
            results("tables/{table}.md"),
            caption="../report/paper_table.rst",
            category="Results",
            subcategory="The papers' tables",
            labels={"table": "{table}"},
        ),
    log:
        results("logs/paper_table/{table}.log"),
    benchmark:
        results("benchmarks/paper_table/{table}.tsv")
    localrule: True
    conda:
        "../../environment.yml"
    threads: 1
    params:
        # Not canonical: the order of rows is theirs.
        table=lambda wildcards: PAPER.tables[wildcards.table].model_dump_json(),
        known=" ".join(RESULTS),
        generated=lambda wildcards: generated_flag(PAPER.tables[wildcards.table]),
        revision=revision("ssdet.report.paper_tables"),
    message:
        "The paper's {wildcards.table}, with the results that there are"
    shell:
        "export OMP_NUM_THREADS={threads};"
        " python -m ssdet.report.paper_tables"
        " --table-name {wildcards.table} --table {params.table:q}"
        " --results {input.results:q} --known {params.known} {params.generated}"
        " --out-csv {output.csv:q} --out-md {output.md:q} 2> {log:q}"


rule spot_table:
    input:
        results=spot_results,
    output:
        csv=results("tables/spot_{dataset}.csv"),
        md=report(
            results("tables/spot_{dataset}.md"),
            caption="../report/spot_table.rst",
            category="Results",
            subcategory="Segments",
            labels={"data set": "{dataset}", "result": "all shares of labels"},
        ),
    log:
        results("logs/spot_table/{dataset}.log"),
    benchmark:
        results("benchmarks/spot_table/{dataset}.tsv")
    localrule: True
    conda:
        "../../environment.yml"
    threads: 1
    params:
        # Not canonical: the order of rows is theirs.
        table=lambda wildcards: spot_rows(wildcards.dataset).model_dump_json(),
        generated=lambda wildcards: (
            "--generated" if is_generated(wildcards.dataset) else ""
        ),
        revision=revision("ssdet.report.spot_tables"),
    message:
        "Table of SPOT on {wildcards.dataset}"
    shell:
        "export OMP_NUM_THREADS={threads};"
        " python -m ssdet.report.spot_tables"
        " --dataset-name {wildcards.dataset} --table {params.table:q}"
        " --results {input.results:q} {params.generated}"
        " --out-csv {output.csv:q} --out-md {output.md:q} 2> {log:q}"


rule paper_figure:
    input:
        results=lambda wildcards: results_there_are(PAPER.figures[wildcards.figure]),
        cost=results("tables/cost.csv"),
    output:
        figure=report(
            results("figures/{figure}.svg"),
            caption="../report/paper_figure.rst",
            category="Figures",
            subcategory="The papers' figures",
            labels={"figure": "{figure}"},
        ),
    log:
        results("logs/paper_figure/{figure}.log"),
    benchmark:
        results("benchmarks/paper_figure/{figure}.tsv")
    localrule: True
    conda:
        "../../environment.yml"
    threads: 1
    params:
        figure=lambda wildcards: PAPER.figures[wildcards.figure].model_dump_json(),
        generated=lambda wildcards: generated_flag(PAPER.figures[wildcards.figure]),
        revision=revision("ssdet.report.paper_figure"),
    message:
        "The paper's {wildcards.figure}, with the results that there are"
    shell:
        "export OMP_NUM_THREADS={threads};"
        " python -m ssdet.report.paper_figure"
        " --figure {params.figure:q} --results {input.results:q} {params.generated}"
        " --cost {input.cost:q}"
        " --out {output.figure:q} 2> {log:q}"
