"""One environment opened on one engine: a Spark session, its Delta tables and its models.

Start with `pipelines.workspace.workspace.open_workspace`. Which engines there are stands in `engines`; nothing outside
this package knows which one it runs on. What is computed from the tables lives in the tasks, not here.
"""
