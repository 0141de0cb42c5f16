"""Whether the code that a declaration names does what the declaration says, asked before any job runs."""
