"""What declarations may import from `ml`: specifications and policies as plain frozen values. Standard library only."""
