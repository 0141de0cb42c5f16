"""The areas of the services, one module each: endpoints and rules as data."""
