"""What can wake somebody, and where to look first: every alert with severity, owner and first command."""
