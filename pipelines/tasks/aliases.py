"""The aliases by which versions of a model are known; nothing scores or compares by a version's number."""

CHAMPION = "champion"
"""The version whose predictions count."""
CHALLENGER = "challenger"
"""The best candidate of the last evaluation."""
