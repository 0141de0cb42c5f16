"""The stacks, each of which is deployed as a whole. A stack connects constructs, which do not know each other."""
