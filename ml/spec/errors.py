"""The errors that every room may raise and both command lines know."""


class DeclarationError(ValueError):
    """A declared value that cannot be right; the message names what, where, what was got and what is allowed."""
