"""The model card of a version: what is recorded of it, in sections, and how they are shown."""
