"""Azure Pipelines as their documentation describes them: templates expanded, and runs played with or without their commands."""
