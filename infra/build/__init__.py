"""What is deployed: the release, and the wheel that is built from its commit."""
