"""Prints of row keys: they tell whether two sets share rows where only one of the sets is at hand.

A model carries the prints of the rows it was trained on, so that an environment that never had those rows can prove
that none of them is evaluated on.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

STORED = np.dtype("<u8")
"""How prints are stored: 64 bits each, least significant byte first."""


def key_hashes(keys: Sequence[str]) -> bytes:
    """Return the prints of keys, each once, in ascending order.

    Parameters
    ----------
    keys
        The keys of rows, in any order.

    Returns
    -------
    bytes
        Eight for each key. Two different keys have the same print with a probability of 2 ** -64.
    """
    return np.unique(_hashed(keys)).astype(STORED).tobytes()


def count_known_keys(prints: bytes, keys: Sequence[str]) -> int:
    """Return how many keys have their print among those of `key_hashes`.

    For n stored and m asked keys the expected number of keys counted by mistake is n * m / 2 ** 64.

    Raises
    ------
    ValueError
        If `prints` is not what `key_hashes` returned.
    """
    if len(prints) % STORED.itemsize:
        raise ValueError(f"prints of keys come in {STORED.itemsize} bytes each, these are {len(prints)}: train again.")
    stored = np.frombuffer(prints, dtype=STORED)
    return int(np.isin(_hashed(keys), stored).sum())


def _hashed(keys: Sequence[str]) -> NDArray[np.uint64]:
    return pd.util.hash_array(np.asarray(keys, dtype=object), categorize=False)
