"""The sections of the page of a use case: what each of them shows, as values without HTML."""
