"""Folders whose names a component would read as something else, such as part of an address: one answer for all of them.

`deltalake`, Sail, Spark and SQLite's addresses each read some characters of a path in their own way: a quote as the end of
a name, ``*`` as a pattern, ``?`` as the beginning of options. So none of them is given such a path: they open the folder
through a symbolic link with a plain name, in a private temporary folder that is removed when the process ends. What is
stored in tables and registries never contains the link.

`deltalake` follows the link before it makes an address of the path. The few names that it then mistakes are refused
(`MISTAKEN`), by each local engine, so that what one engine wrote the other one opens.
"""

import atexit
import errno
import functools
import os
import re
import shutil
import tempfile
from pathlib import Path

from ml.spec.errors import RequestError

PLAIN = re.compile(r"[A-Za-z0-9_./-]*")
"""What every component reads as it is written."""
MISTAKEN = re.compile(r"[\[\]^|\\#?\x00-\x1f\x7f]|%[0-9A-Fa-f]{2}")
"""What `deltalake` reads as the end of a name, as another character or not at all, however the folder is opened."""
LONGEST = 460
"""Bytes of the longest path: SQLite opens none of more than 512, and follows links before it counts."""
FALLBACK = Path("/tmp")  # noqa: S108 - `mkdtemp` makes a private folder in it
"""Where links are made if the folder for temporary files has no plain name either."""


A_LOOP = "a loop of symbolic links"


class FolderError(RequestError):
    """A folder that cannot hold a lakehouse; nothing was written."""


def usable_folder(root: Path) -> Path:
    """Return the absolute path of a folder for environments, without symbolic links; nothing is created.

    Raises
    ------
    FolderError
        If no environment can be kept there, with the reason.
    """
    try:
        name = os.fsencode(root)
        name.decode("utf-8")
        found = _without_links(root)
        nearest = next(folder for folder in (found, *found.parents) if folder.exists())
    except UnicodeError:
        raise FolderError(f"the folder {root!s:.200} has a name that is not UTF-8: choose another --root.") from None
    except (OSError, RuntimeError) as error:  # too long a name, a loop of symbolic links
        raise FolderError(
            f"the folder {_short(root)} cannot be used ({_reason(error)}): choose another --root."
        ) from None
    if len(os.fsencode(found)) > LONGEST:
        raise FolderError(
            f"the folder {_short(root)} has a path of {len(os.fsencode(found)):,} bytes, and {LONGEST:,} are allowed: choose "
            "another --root."
        )
    mistaken = MISTAKEN.search(found.relative_to(found.anchor).as_posix())
    if mistaken:
        raise FolderError(
            f"the folder {_short(found)} has {mistaken[0]!r} in its path, which the library that writes tables takes for part "
            "of an address: choose another --root, without any of # ? [ ] ^ | \\, control characters and % before two "
            "hexadecimal digits."
        )
    if not nearest.is_dir():
        raise FolderError(
            f"the folder {_short(root)} cannot be made: {_short(nearest)} is a file; choose another --root."
        )
    return found


def _without_links(root: Path) -> Path:
    """Return an absolute path without symbolic links; a loop of them, which Python 3.13 keeps in the path, raises."""
    found = root.resolve()
    if any(folder.is_symlink() for folder in (found, *found.parents)):
        raise OSError(errno.ELOOP, A_LOOP)
    return found


def plain_folder(root: Path) -> Path:
    """Return a path to a folder that every component reads as it is written; the folder is created.

    Parameters
    ----------
    root
        As `usable_folder` returns it.

    Returns
    -------
    Path
        The folder itself if its name is plain, otherwise a symbolic link to it that lasts as long as this process.

    Raises
    ------
    FolderError
        If the folder cannot be created, or there is no plain place for the link.
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FolderError(
            f"the folder {_short(root)} cannot be made ({_reason(error)}): choose another --root."
        ) from None
    return root if _is_plain(root) else _link(root)


@functools.cache
def _link(root: Path) -> Path:
    links = next(
        (place for place in (Path(tempfile.gettempdir()), FALLBACK) if _is_plain(place) and place.is_dir()), None
    )
    if links is None:
        raise FolderError(
            f"the folder {_short(root)} needs a symbolic link with a plain name, and the folder for temporary files has none "
            "either: set TMPDIR to one of letters, digits, '_', '.' and '-', or choose another --root."
        )
    folder = Path(tempfile.mkdtemp(prefix="lakehouse-", dir=links))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    link = folder / "root"
    link.symlink_to(root, target_is_directory=True)
    return link


def _is_plain(folder: Path) -> bool:
    return PLAIN.fullmatch(folder.relative_to(folder.anchor).as_posix()) is not None


def _short(path: Path) -> str:
    text = repr(str(path))
    return text if len(text) <= 200 else f"{text[:190]}...'"


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or A_LOOP
