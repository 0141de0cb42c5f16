"""The sentence for a name that is none of the allowed ones, with the name that was probably meant."""

from collections.abc import Iterable

LETTERS = 3
"""A shared beginning of so many letters makes two names near, however different their lengths."""


def unknown(kind: str, got: str, allowed: Iterable[str]) -> str:
    """Return the sentence for a name that is none of the allowed ones.

    Parameters
    ----------
    kind
        What the name was meant to name, for example ``"job"``.
    got
        The name as it was given.
    allowed
        The names that exist.

    Returns
    -------
    str
        For example ``unknown job 'traning': did you mean 'training'? Known: features, training.``
    """
    names = sorted(allowed)
    near = did_you_mean(got, names)
    hint = f": {near}" if near else "."
    return f"unknown {kind} {got!r}{hint} Known: {', '.join(names) or 'none'}."


def did_you_mean(got: str, allowed: Iterable[str]) -> str:
    """Return ``did you mean 'training'?``; empty if no allowed name is near."""
    near = nearest(got, allowed)
    return f"did you mean {near!r}?" if near else ""


def nearest(got: str, allowed: Iterable[str], *, cutoff: float = 0.6) -> str | None:
    """Return the allowed name that was probably meant; None if none is near.

    A name that another one begins with is near too: ``production`` is near ``prod``, which letters alone do not show.

    Parameters
    ----------
    cutoff
        How similar two names must be, from 0 to 1, as `difflib.get_close_matches` measures it.
    """
    names = sorted(allowed)
    if got.startswith("--"):  # of options, what is alike is the words after the two dashes
        bare = {name.removeprefix("--"): name for name in names}
        return bare.get(nearest(got.removeprefix("--"), bare, cutoff=cutoff) or "")
    for name in names:
        if min(len(name), len(got)) >= LETTERS and (name.startswith(got) or got.startswith(name)):
            return name
    import difflib  # only a wrong name needs it

    return next(iter(difflib.get_close_matches(got, names, n=1, cutoff=cutoff)), None)
