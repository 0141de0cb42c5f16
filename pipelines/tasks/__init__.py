"""The functions that declared tasks call: read tables, one call into `ml` or a feature query, write tables."""
