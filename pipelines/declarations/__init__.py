"""What exists and what runs, as plain frozen values: environments, tables, models, jobs, use cases.

The only folder of `pipelines` that `infra` may import. Quick to import: nothing here loads Spark, MLflow, pandas or
cdktf. Data teams import `pipelines.api`, which has what a use case is declared with.
"""
