"""The parts of stacks: each adds resources to a stack and returns what others need of them."""
