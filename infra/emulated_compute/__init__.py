"""What runs in the emulated workspaces: tasks of jobs in environments of their own, SQL and models on the embedded engine."""
