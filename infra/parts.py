"""Large estates are rendered in several processes at once: who renders what, and how the parts become one folder.

One process is always waiting, Python for Node or Node for Python, so a second processor halves the time. The result
is the same files as from one process, because no stack's JSON depends on another's.
"""

import json
import multiprocessing
import os
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from infra.stack import Stack

WORTHWHILE_RESOURCES = 3000
"""Below this many resources, starting a second process takes longer than it saves."""
MOST_PROCESSES = 4

Render = Callable[[Sequence[Stack], Path], None]
"""Writes some stacks and their manifest into a folder; must be importable by a new process."""


def processes_for(stacks: Sequence[Stack]) -> int:
    """Return how many processes are worth starting for these stacks on this machine."""
    if sum(len(stack.resources) for stack in stacks) < WORTHWHILE_RESOURCES:
        return 1
    return min(os.cpu_count() or 1, MOST_PROCESSES, len(stacks))


def render_in_parts(stacks: Sequence[Stack], target: Path, render: Render, processes: int) -> None:
    """Render the stacks in several processes and join what they wrote.

    Parameters
    ----------
    stacks
        Every stack after those it reads.
    target
        The folder to write.
    render
        Renders one part.
    processes
        How many parts to make.
    """
    target.mkdir(parents=True, exist_ok=True)
    parts = split(stacks, processes)
    with tempfile.TemporaryDirectory(dir=target) as folder:
        folders = [Path(folder) / str(index) for index in range(len(parts))]
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(max_workers=len(parts), mp_context=context) as pool:
            for finished in [pool.submit(render, part, into) for part, into in zip(parts, folders, strict=True)]:
                finished.result()
        _join(stacks, folders, target)


def split(stacks: Sequence[Stack], count: int) -> list[list[Stack]]:
    """Divide stacks into parts of about as many resources, the largest stack first to the smallest part."""
    parts: list[list[Stack]] = [[] for _ in range(count)]
    for stack in sorted(stacks, key=lambda stack: -len(stack.resources)):
        smallest = min(parts, key=lambda part: sum(len(other.resources) for other in part))
        smallest.append(stack)
    return [part for part in parts if part]


def _join(stacks: Sequence[Stack], folders: Sequence[Path], target: Path) -> None:
    """Move every stack's folder to its place and write the manifest of all, with the dependencies between parts."""
    manifest: dict[str, Any] = {"stacks": {}}
    (target / "stacks").mkdir(exist_ok=True)
    for folder in folders:
        part = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        manifest = {**part, "stacks": {**manifest["stacks"], **part["stacks"]}}
        for moved in (folder / "stacks").iterdir():
            place = target / "stacks" / moved.name
            place.mkdir(exist_ok=True)
            for file in moved.iterdir():
                file.replace(place / file.name)
    for stack in stacks:
        manifest["stacks"][stack.name]["dependencies"] = list(stack.read)
    manifest["stacks"] = dict(sorted(manifest["stacks"].items()))
    (target / "manifest.json").write_text(json.dumps(manifest, indent=2), encoding="utf-8")
