"""What the measurements of a window mean: findings, and whether they ask for a retraining."""
