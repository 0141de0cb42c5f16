"""The stacks: what is deployed together. Each wires constructs, which know nothing of one another."""
