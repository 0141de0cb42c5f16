"""The report: what the tables and the registry record, as one page of HTML."""
