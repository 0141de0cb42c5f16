"""What declarations may import of `ml`: specifications and policies as plain frozen values. Standard library only."""
