"""The Terraform program: running it, its stacks on disk, its plans, its known errors, its state storage."""
