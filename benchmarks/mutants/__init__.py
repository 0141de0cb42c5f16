"""Mutants of stacks, settings and code: changes whose harm is fixed before any check sees them, and how many are stopped."""
