"""What quality means: metrics by name, and how sure a difference of two is (DeLong, bootstraps)."""
