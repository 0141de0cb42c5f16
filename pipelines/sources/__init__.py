"""Deliveries of a source: files are read, rows are checked against the contract, broken rows are quarantined."""
