"""The rights that each identity needs: derived from the resources of its stacks, printed, granted, checked."""
