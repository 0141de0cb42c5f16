"""The settings, typed and checked, and the names and tags derived from them."""
