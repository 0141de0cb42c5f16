"""Candidates and champion measured on the same rows, as a record that goes to JSON and back."""
