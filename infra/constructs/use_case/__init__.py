"""The resources of a use case in a workspace: data, jobs, notebook, endpoint, dashboard, alerts."""
