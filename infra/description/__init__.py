"""What the estate consists of: a summary, a picture and the permission matrix."""
