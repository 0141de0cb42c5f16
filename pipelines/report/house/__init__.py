"""The page of the whole house: every environment and use case on one page."""
