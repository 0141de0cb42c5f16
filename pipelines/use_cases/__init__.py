"""One folder per use case: what one data team writes. `pipelines.declarations.registry` finds them."""
