"""The aliases by which versions of a model are known; nothing scores or compares by a version's number."""

CHAMPION = "champion"
"""The version whose predictions count."""
CHALLENGER = "challenger"
"""The best candidate of the last evaluation."""
BASELINE = "baseline"
"""A version that goes on scoring for comparison, such as the first champion; the report shows it where there is one."""
