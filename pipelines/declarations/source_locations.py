"""Where the sources of a use case lie: one location for all of them, or one for each, as the text of a job's parameter.

The nearest statement counts: what a run is given, which in a deployed job is by default what the environment's settings
state, then `Source.location`.
"""

import re
from collections.abc import Mapping, Sequence

from pipelines.declarations.mistakes import DeclarationError, unknown
from pipelines.declarations.source import Source

BETWEEN = ";"
_NAMED = re.compile(r"^\s*(?P<source>[a-z](?:_?[a-z0-9])*)\s*=\s*(?P<place>.*?)\s*$")


def location_text(places: Mapping[str, str]) -> str:
    """Return locations by the names of sources as one text, for example ``orders=/data/orders;returns=/data/back``."""
    return BETWEEN.join(f"{source}={place}" for source, place in places.items())


def locations(text: str, sources: Sequence[Source]) -> Mapping[str, str]:
    """Return the location of each source by its name; empty where its reader looks by itself.

    Parameters
    ----------
    text
        One location for all sources, or a text as `location_text` makes it; a source that it does not name has its own.

    Raises
    ------
    DeclarationError
        If the text names a source that the use case has not, or one twice.
    """
    own = {source.name: source.location for source in sources}
    parts = [part for part in text.split(BETWEEN) if part.strip()]
    named = [match for part in parts if (match := _NAMED.match(part))]
    if not named or len(named) < len(parts):
        return dict.fromkeys(own, text) if text else own
    stated = [match["source"] for match in named]
    mistakes = [unknown("source of parameter 'location'", name, own) for name in stated if name not in own]
    mistakes += [
        f"parameter 'location' names source {name!r} twice." for name in dict.fromkeys(stated) if stated.count(name) > 1
    ]
    if mistakes:
        raise DeclarationError(" ".join(mistakes))
    return own | {match["source"]: match["place"] for match in named}
