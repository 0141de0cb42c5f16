"""The release that is deployed, and the wheel that is built from its commit."""
