"""The scoring function of a use case, as batch, stream and endpoint call it; neither Spark nor a registry is needed."""
