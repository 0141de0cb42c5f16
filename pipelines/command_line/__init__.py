"""What both programs share: lazily loaded commands, one place that catches errors, exit codes, the console."""
