"""Which version answers a request: by a hash of the request's own values, so that equal values get the same version.

A request's place is a number from 0 to 1 that its values and the salt of the rollout determine. The challenger answers the
places below its percentage, so whoever it answered at 10% it answers at 50% too; the next rollout has another salt, and
begins with other requests.
"""

import hashlib
from collections.abc import Sequence

from ml.spec.rollout_policy import WHOLE

PLACES = 2**64


def place_of(values: Sequence[object], salt: str) -> float:
    """Return the place of a request in a rollout, from 0 up to but not including 1.

    Parameters
    ----------
    values
        What its version sticks to; as text, each with its length, so that no two lists of values are the same text.
    """
    digest = hashlib.sha256()
    for text in (salt, *("" if value is None else str(value) for value in values)):
        content = text.encode()
        digest.update(len(content).to_bytes(8) + content)
    return (int.from_bytes(digest.digest()[:8]) >> 11) / (PLACES >> 11)


def is_challengers(values: Sequence[object], *, salt: str, percentage: int) -> bool:
    """Return whether the challenger answers a request at a percentage."""
    return place_of(values, salt) < percentage / WHOLE
