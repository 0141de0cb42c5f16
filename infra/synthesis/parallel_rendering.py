"""Renders many stacks in several processes: divides them into parts and joins the output into one folder.

Within one process, either Python or Node works while the other waits, so it uses only one processor. The files are the
same as those of one process, because no stack's JSON depends on another's.
"""

import json
import multiprocessing
import os
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from infra.synthesis.stack import Stack

WORTHWHILE_RESOURCES = 3000
"""With fewer resources, starting a second process takes longer than it saves."""
MAXIMUM_PROCESSES = 4
"""The three workspace stacks have nearly all resources and the same size: one process each, and one for the rest."""

Render = Callable[[Sequence[Stack], Path], None]
"""A function that writes some stacks and their manifest into a folder; a new process must be able to import it."""


def processes_for(stacks: Sequence[Stack]) -> int:
    """Return how many processes are worth starting for these stacks on this machine."""
    if sum(len(stack.resources) for stack in stacks) < WORTHWHILE_RESOURCES or os.cpu_count() == 1:
        return 1
    return min(MAXIMUM_PROCESSES, len(stacks))


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
        with ProcessPoolExecutor(max_workers=len(parts), mp_context=_fresh_processes(render)) as pool:
            for finished in [pool.submit(render, part, into) for part, into in zip(parts, folders, strict=True)]:
                finished.result()
        _join(stacks, folders, target)


def _fresh_processes(render: Render) -> multiprocessing.context.BaseContext:
    """Return how to start processes that share no state with this one, and import their modules only once if possible."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([render.__module__])
    return context


def split(stacks: Sequence[Stack], count: int) -> list[list[Stack]]:
    """Divide stacks into parts with about equally many resources: the largest stack first, always to the smallest part."""
    parts: list[list[Stack]] = [[] for _ in range(count)]
    for stack in sorted(stacks, key=lambda stack: -len(stack.resources)):
        smallest = min(parts, key=lambda part: sum(len(other.resources) for other in part))
        smallest.append(stack)
    return [part for part in parts if part]


def _join(stacks: Sequence[Stack], folders: Sequence[Path], target: Path) -> None:
    """Move every stack's folder into the target and write one manifest, with the dependencies between parts."""
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
