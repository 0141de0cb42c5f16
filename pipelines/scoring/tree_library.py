"""Makes a library of machine code of fitted trees: treelite reads them, tl2cgen writes C, a compiler does the rest.

The compiler runs as a process with low priority: it takes seconds of a processor, and requests are answered meanwhile.
"""

import contextlib
import copy
import hashlib
import io
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import threading
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ml.spec.errors import LakehouseError

COMPILERS = ("gcc", "clang")
OPTIONS = ("-O3", "-fPIC", "-std=c99", "-shared")
LONGEST_SECONDS = 600
LIBRARY = "trees.so"
NEWER_TREELITE = (
    b"originated from a newer Treelite version", b"Currently running Treelite version", b"checkpoint was generated from Treelite version",
)  # fmt: skip
"""What tl2cgen's own copy of treelite says of the trees of the installed one. It reads them: what is compiled is compared
with the estimator before it answers."""
STANDARD_ERROR = 2
_ONE_AT_A_TIME = threading.Lock()


class NotCompiledError(LakehouseError):
    """A pipeline that is not compiled; the message says why."""


def compiler() -> str:
    """Return the path of the compiler.

    Raises
    ------
    NotCompiledError
        If there is none, or a package is missing.
    """
    found = next((path for name in COMPILERS if (path := shutil.which(name))), None)
    if found is None:
        raise NotCompiledError(f"none of the compilers {' and '.join(COMPILERS)} is installed")
    try:
        import tl2cgen  # noqa: F401 - whether it is there
        import treelite  # noqa: F401 - as above
    except ImportError as error:
        raise NotCompiledError(f"the package {error.name} is not installed") from error
    return found


def library_name(digest: str, program: str) -> str:
    """Return the name of the library of a version's trees: of its files' digest and of everything that makes code of them."""
    import tl2cgen
    import treelite

    said = subprocess.run([program, "--version"], check=True, capture_output=True, text=True).stdout  # noqa: S603 - a compiler of this machine
    made_by = (treelite.__version__, tl2cgen.__version__, said, *OPTIONS, platform.machine(), platform.system())
    return hashlib.sha256("\n".join((digest, *made_by)).encode()).hexdigest()


def built_library(estimator: Any, program: str) -> bytes:
    """Return the library of the trees of a fitted histogram boosting.

    Raises
    ------
    NotCompiledError
        If the compiler fails.
    """
    import tl2cgen
    import treelite

    with tempfile.TemporaryDirectory(prefix="trees-") as name:
        folder = Path(name)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="invalid value encountered in cast")  # of a missing category
            trees = treelite.sklearn.import_model(_beginning_with_its_baseline(estimator))
        with contextlib.redirect_stdout(io.StringIO()), _without(NEWER_TREELITE):  # it tells of its progress
            tl2cgen.generate_c_code(trees, folder, {"quantize": 0})
        sources = sorted(str(file) for file in folder.glob("*.c"))
        least = [found, "-n", "10"] if (found := shutil.which("nice")) else []
        done = subprocess.run(  # noqa: S603 - as above
            [*least, program, *OPTIONS, "-o", str(folder / LIBRARY), *sources, "-lm"],
            check=False, capture_output=True, text=True, timeout=LONGEST_SECONDS,
        )  # fmt: skip
        if done.returncode != 0:
            raise NotCompiledError(f"{Path(program).name} has failed: {' '.join(done.stderr.split())[:200]}")
        return (folder / LIBRARY).read_bytes()


@contextlib.contextmanager
def _without(notes: Sequence[bytes]) -> Iterator[None]:
    """Keep lines with one of these texts from standard error, also of libraries that write to it themselves; nothing else is lost."""
    with _ONE_AT_A_TIME, tempfile.TemporaryFile() as kept:
        sys.stderr.flush()
        shown = os.dup(STANDARD_ERROR)
        os.dup2(kept.fileno(), STANDARD_ERROR)
        try:
            yield
        finally:
            os.dup2(shown, STANDARD_ERROR)
            kept.seek(0)
            os.write(shown, b"".join(line for line in kept if not any(note in line for note in notes)))
            os.close(shown)


def _beginning_with_its_baseline(estimator: Any) -> Any:
    """Return an equal estimator whose baseline is in the leaves of its first trees.

    scikit-learn adds the trees to the baseline, one after the other; what is compiled would add the baseline to their sum, which
    rounds otherwise in the last digit.
    """
    moved = copy.deepcopy(estimator)
    for tree, baseline in zip(moved._predictors[0], np.ravel(moved._baseline_prediction), strict=True):  # noqa: SLF001 - no public name holds the trees
        leaves = tree.nodes["is_leaf"].astype(bool)
        tree.nodes["value"][leaves] += baseline
    moved._baseline_prediction = np.zeros_like(moved._baseline_prediction)  # noqa: SLF001 - as above
    return moved
