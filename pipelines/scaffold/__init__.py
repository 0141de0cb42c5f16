"""Makes the folder of a new use case."""
