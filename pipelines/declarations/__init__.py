"""What exists and what runs, as plain frozen values: environments, assets, jobs, use cases.

The one room that `infra` may import. Quick to import: nothing here loads Spark, MLflow, pandas or cdktf.
"""
