"""Hashes of row keys: detect overlap with training rows without having the rows.

A model is stored with the hashes of the keys of its training rows. An environment that never had those rows can thus
prove that no evaluation row is among them.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

STORED = np.dtype("<u8")
"""How hashes are stored: 64 bits each, least significant byte first."""


def key_hashes(keys: Sequence[str]) -> bytes:
    """Return the distinct hashes of keys, in ascending order.

    Parameters
    ----------
    keys
        The keys of rows, in any order.

    Returns
    -------
    bytes
        Eight for each key. Two different keys have the same hash with a probability of 2 ** -64.
    """
    return np.unique(_hashed(keys)).astype(STORED).tobytes()


def count_known_keys(hashes: bytes, keys: Sequence[str]) -> int:
    """Return how many keys have their hash among `hashes`.

    For n stored hashes and m keys the expected number of keys counted by mistake is n * m / 2 ** 64.

    Raises
    ------
    ValueError
        If `hashes` is not what `key_hashes` returned.
    """
    if len(hashes) % STORED.itemsize:
        raise ValueError(
            f"hashes of keys have {STORED.itemsize} bytes each, got {len(hashes)} bytes in all: train again."
        )
    stored = np.frombuffer(hashes, dtype=STORED)
    return int(np.isin(_hashed(keys), stored).sum())


def _hashed(keys: Sequence[str]) -> NDArray[np.uint64]:
    return pd.util.hash_array(np.asarray(keys, dtype=object), categorize=False)
