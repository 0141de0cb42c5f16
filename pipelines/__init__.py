"""What runs, when, in which order, on which tables: declarations, engines, tasks, use cases and the runner."""
