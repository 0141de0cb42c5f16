"""Delta tables: their schemas, reads and writes, on every engine."""
