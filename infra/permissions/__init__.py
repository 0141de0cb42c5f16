"""Access levels, and the grants and permissions that follow from them."""
