"""The first day of an environment: where its data lies, the dates of a run that was given none, and the first jobs in order."""
