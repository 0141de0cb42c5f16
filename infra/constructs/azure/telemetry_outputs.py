"""What a platform stack with telemetry gives to the workspace stack: names of outputs, apart from what makes them."""

CONNECTION = "telemetry_connection"
"""The connection string of Application Insights, which is no secret."""
CONNECTOR = "telemetry_connector_id"
"""The id of the access connector whose identity publishes to it."""
