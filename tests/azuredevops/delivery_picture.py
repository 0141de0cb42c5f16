"""Draws the path of a change from the expanded pipelines: ``python -m tests.azuredevops.delivery_picture``.

The upper part is the path of code: a laptop, then each pipeline with its stages, their identities, approvals and locks.
The lower part is the path of models: in which environments each use case is trained, and to which it is delivered.
"""

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any, NamedTuple

from infra.azure_pipelines.shape import job_name, steps_of
from infra.azure_pipelines.templates import expand
from infra.build.release import ROOT
from infra.config.pipeline_names import APPROVED, place
from pipelines.declarations.environment import ENVIRONMENTS
from pipelines.declarations.registry import use_case

PICTURE = ROOT / "docs" / "delivery.svg"
COLUMN, GAP, MARGIN, BOX, SPACE, HEAD = 250, 80, 20, 44, 14, 64


class Box(NamedTuple):
    """The texts of one box, and whether an arrow leads to it from the box above."""

    title: str
    note: str
    kind: str
    follows: bool


STYLE = """
  text { font-family: system-ui, sans-serif; fill: #1f2933; font-size: 12.5px; }
  .title { font-size: 15px; font-weight: 600; } .head { font-size: 13px; font-weight: 600; }
  .note { font-size: 11.5px; fill: #52606d; }
  .group { fill: #f5f7fa; stroke: #cbd2d9; } .box { fill: #ffffff; stroke: #9aa5b1; }
  .signed { fill: #e6f0fa; } .gate { fill: #fff4e0; stroke: #c77700; }
  .way { stroke: #52606d; fill: none; marker-end: url(#arrow); } .side { stroke-dasharray: 4 3; }
"""
SHOWN = ("air_time", "flight_delay")
"""The use cases whose models are shown: one that is delivered, one that every environment trains."""
LAPTOP = ("make demo", "make check", "python -m infra review", "git push")


def main() -> None:
    """Write the picture."""
    PICTURE.write_text(picture(), encoding="utf-8")
    print(PICTURE)


def picture() -> str:
    """Return the picture as SVG text."""
    found = {name: expand(ROOT / ".azuredevops" / f"{name}.yml") for name in ("pull-request", "main", "release")}
    columns = [("a laptop", "the same commands, no account", [Box(text, "", "box", True) for text in LAPTOP])]
    columns += [(f"{name}.yml", _starts(name), list(_stages(pipeline))) for name, pipeline in found.items()]
    tallest = max(len(boxes) for _, _, boxes in columns)
    height = HEAD + tallest * (BOX + SPACE) + 10
    width = 2 * MARGIN + len(columns) * COLUMN + (len(columns) - 1) * GAP
    top = MARGIN + 30
    parts = [_text(MARGIN, MARGIN + 14, "The way of code", "title")]
    for number, (title, note, boxes) in enumerate(columns):
        left = MARGIN + number * (COLUMN + GAP)
        parts.append(_group(left, top, height, title, note, boxes))
        if number:
            label = ("", "pull request", "merge", "tag v*")[number]
            parts.append(_arrow(left - GAP, top + 30, left - 2, top + 30, label))
    below = top + height + 44
    parts.append(_text(MARGIN, below, "The way of a model", "title"))
    models, bottom = _models(below + 16, width - 2 * MARGIN)
    parts.append(models)
    label = "The way of a change from a laptop to prod, and of models through the environments"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {bottom + MARGIN}" role="img" aria-label="{label}">'
        f"<style>{STYLE}</style>"
        '<defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0L8 4L0 8z" fill="#52606d"/></marker></defs>'
        f'<rect width="{width}" height="{bottom + MARGIN}" fill="#ffffff"/>{"".join(parts)}</svg>\n'
    )


def _starts(name: str) -> str:
    return {
        "pull-request": "started by main's branch policy",
        "main": "started by a merge into main",
        "release": "started by a version tag",
    }[name]


def _stages(pipeline: Mapping[str, Any]) -> Iterator[Box]:
    """Yield a box for every stage, or for each of several jobs that deploy, and for each approval before it."""
    before = ""
    for stage in pipeline["stages"]:
        deployed = {job["environment"] for job in stage["jobs"] if "environment" in job}
        follows = before in stage.get("dependsOn", [before])
        if deployed & {place(name) for name in APPROVED}:
            yield Box("approval: " + ", ".join(sorted(deployed)), "somebody else has read the plan", "gate", follows)
            follows = True
        if deployed and len(stage["jobs"]) > 1:
            earlier = ""
            for job in stage["jobs"]:
                after = earlier in job.get("dependsOn", "") if earlier else follows
                yield _drawn(job["displayName"], [job], after, lock=True)
                earlier = job_name(job)
        else:
            yield _drawn(stage["displayName"], stage["jobs"], follows, lock=bool(deployed))
        before = stage["stage"]


def _drawn(title: str, jobs: Sequence[Mapping[str, Any]], follows: bool, *, lock: bool) -> Box:
    steps = [step for job in jobs for step in steps_of(job)]
    signed = sorted({step["inputs"]["azureSubscription"] for step in steps if step.get("task") == "AzureCLI@2"})
    note = f"as {', '.join(signed)}" if signed else "without a credential"
    if any("SYSTEM_ACCESSTOKEN" in step.get("env", {}) for step in steps):
        note = "with the job's token, to comment"
    if any("'broken'" in job.get("condition", "") for job in jobs):
        note = f"if broken; {note}"
    return Box(title, f"{note}, locked" if lock else note, "box signed" if signed else "box", follows)


def _group(left: float, top: float, height: float, title: str, note: str, boxes: Sequence[Box]) -> str:
    parts = [
        f'<rect class="group" x="{left}" y="{top}" width="{COLUMN}" height="{height}" rx="8"/>',
        _text(left + 14, top + 24, title, "head"),
        _text(left + 14, top + 42, note, "note"),
    ]
    for number, box in enumerate(boxes):
        y = top + HEAD + number * (BOX + SPACE)
        parts.append(_box(left + 12, y, COLUMN - 24, box.title, box.note, box.kind))
        if number and box.follows:
            parts.append(_arrow(left + COLUMN / 2, y - SPACE, left + COLUMN / 2, y - 2))
    return "".join(parts)


def _models(top: float, width: float) -> tuple[str, float]:
    """Return a row for every use case, a cell for every environment, and where they end."""
    names = list(ENVIRONMENTS)
    head, cell = 120, (width - 120 - (len(names) - 1) * GAP) / len(names)
    parts = []
    for row, declared in enumerate(map(use_case, SHOWN)):
        y = top + row * (BOX + 36)
        parts.append(_text(MARGIN, y + 26, declared.name, "head"))
        for number, name in enumerate(names):
            left = MARGIN + head + number * (cell + GAP)
            before = ENVIRONMENTS[name].receives_from
            if name in declared.trained_in:
                output = (f"{name}: trained here", "on own rows, behind its own gate", "box")
                label, kind = "the wheel", "way side"
            else:
                output = (
                    f"{name}: delivered from {before}",
                    "judged again on own rows by its own gate",
                    "box signed",
                )
                label, kind = "the version", "way"
            parts.append(_box(left, y, cell, *output))
            if number:
                parts.append(_arrow(left - GAP, y + BOX / 2, left - 2, y + BOX / 2, label, kind))
    return "".join(parts), top + len(SHOWN) * (BOX + 36) - 20


def _box(left: float, top: float, width: float, text: str, under: str, kind: str) -> str:
    first = top + (19 if under else 27)
    return (
        f'<rect class="{kind}" x="{left:g}" y="{top:g}" width="{width:g}" height="{BOX}" rx="5"/>'
        + _text(left + 10, first, text)
        + (_text(left + 10, top + 35, under, "note") if under else "")
    )


def _arrow(x: float, y: float, to_x: float, to_y: float, label: str = "", kind: str = "way") -> str:
    output = (
        f'<text class="note" x="{(x + to_x) / 2:g}" y="{y - 7:g}" text-anchor="middle">{escape(label)}</text>'
        if label
        else ""
    )
    return f'<path class="{kind}" d="M{x:g} {y:g}L{to_x:g} {to_y:g}"/>{output}'


def _text(x: float, y: float, text: str, kind: str = "") -> str:
    return f'<text{f" class={chr(34)}{kind}{chr(34)}" if kind else ""} x="{x:g}" y="{y:g}">{escape(text)}</text>'


if __name__ == "__main__":
    main()
