"""Labels: which of them may decide at an instant, and why the others may not."""
