"""What a use case has in a workspace: data, jobs, notebook, endpoint, dashboard, alerts."""
