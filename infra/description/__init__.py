"""Descriptions of all stacks: a summary, a picture and the permission matrix."""
