"""Score requests in batches and streams, and publish features to the online store."""
