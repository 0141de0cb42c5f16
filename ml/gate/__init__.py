"""May a candidate become champion? The decision, its rules and its verdict."""
