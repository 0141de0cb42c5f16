"""Deliveries of a source: reading files, and the contract that rows must fulfil."""
