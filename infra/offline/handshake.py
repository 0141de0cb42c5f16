"""What an offline run of Terraform and the provider that it starts agree on; plain names, quick to import."""

MAGIC = ("TF_PLUGIN_MAGIC_COOKIE", "d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2")
"""What Terraform puts into the environment of every provider that it starts."""

SCHEMA_FOLDER = "LAKEHOUSE_OFFLINE_SCHEMAS"
"""The environment variable by which the provider learns where its schemas are; without it, it refuses to start."""
