"""The online store: the newest row of every entity of the feature tables, in Postgres, for requests that cannot wait."""
