"""Settings, typed and checked, and the names and tags that follow from them."""
