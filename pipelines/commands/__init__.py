"""The commands of ``python -m pipelines``: each module has a name, help, arguments and what to do."""
