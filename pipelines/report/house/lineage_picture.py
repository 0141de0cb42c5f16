"""Who writes and who reads, as one SVG: the tables of a use case by layer, an arrow from what a task reads to what it writes.

Pure; made from the declared jobs alone. The tables of monitoring are one box: they are read by people.
"""

from collections.abc import Mapping, Sequence
from html import escape

from pipelines.declarations.asset import Layer, Table
from pipelines.declarations.job import Task
from pipelines.declarations.use_case import UseCase

WIDTH, LINE, TOP, MARGIN = 1260, 34, 46, 10
COLUMNS = ("sources", "features and labels", "training", "model", "predictions", "monitoring")
STYLE = """
  .lineage text { font-size: 12px; fill: var(--ink, #1b232c); } .lineage .head { font-weight: 600; }
  .lineage rect { fill: var(--panel, #f6f8fa); stroke: var(--soft, #55616e); }
  .lineage path { fill: none; stroke: var(--soft, #55616e); opacity: .55; }
  .lineage path.tip { fill: var(--soft, #55616e); stroke: none; opacity: 1; }
"""


def lineage_picture(
    use_case: UseCase, *, name: str, champion: int | None = None, made_from: Mapping[str, int] | None = None
) -> str:
    """Return the picture, with the task and its job in the title of each arrow.

    Parameters
    ----------
    name
        Unique on the page.
    champion, made_from
        The version that the model's box names, and by the address of each table the version that it was made from.
    """
    places = _places(use_case)
    ways = _ways(use_case)
    versions = _versions(use_case, champion, made_from or {})
    rows = max(len(column) for column in _by_column(places))
    height = TOP + rows * LINE + MARGIN
    parts = [f'<text class="head" x="{_x(at)}" y="24">{escape(title)}</text>' for at, title in enumerate(COLUMNS)]
    for (start, end), tasks in ways.items():
        parts.append(_arrow(places[start], places[end], f"{start} to {end}: {', '.join(tasks)}", f"{name}-tip"))
    for box, (column, row) in places.items():
        x, y = _x(column), TOP + row * LINE
        parts.append(
            f'<rect x="{x}" y="{y}" width="{_width()}" height="{LINE - 10}" rx="5"/>'
            f'<text x="{x + 8}" y="{y + 16}">{escape(box)}{versions.get(box, "")}</text>'
        )
    of = f", as version {champion} was made" if champion is not None else ""
    label = f"lineage of {use_case.name}{of}: {len(places)} tables and the model, {len(ways)} ways"
    tip = (
        f'<marker id="{name}-tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path class="tip" d="M0 0L8 4L0 8z"/></marker>'
    )
    return (
        f'<svg class="lineage" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
        f'aria-label="{escape(label)}"><style>{STYLE}</style><defs>{tip}</defs>{"".join(parts)}</svg>'
    )


def lineage_rows(use_case: UseCase) -> tuple[tuple[str, str, str], ...]:
    """Return the same in words: what is read, what is written from it, and by which tasks."""
    return tuple((start, end, ", ".join(tasks)) for (start, end), tasks in _ways(use_case).items())


def _versions(use_case: UseCase, champion: int | None, made_from: Mapping[str, int]) -> dict[str, str]:
    """Return what stands after the name of each box: of a table the version that was read, of the model its own."""
    read = [shared.table for shared in use_case.shared_features]
    found = {
        _name(table): f" @ {made_from[table.address]}"
        for table in (*use_case.tables, *read)
        if table.address in made_from
    }
    return found if champion is None else {**found, use_case.model.name: f" v{champion}"}


def _name(table: Table) -> str:
    if table.layer is Layer.SHARED:
        return f"{table.name} ({table.use_case})"
    return "monitoring tables" if table.layer is Layer.MONITORING else table.name + _suffix(table)


def _suffix(table: Table) -> str:
    """Return what tells a source from the feature table of the same name."""
    return " (source)" if table.layer is Layer.BRONZE and table.name != "quarantine" else ""


def _column(table: Table) -> int:
    if table.name == "training_set":
        return COLUMNS.index("training")
    return {
        Layer.BRONZE: COLUMNS.index("sources"), Layer.FEATURES: COLUMNS.index("features and labels"),
        Layer.SHARED: COLUMNS.index("features and labels"),
        Layer.INFERENCE: COLUMNS.index("predictions"), Layer.MONITORING: COLUMNS.index("monitoring"),
    }.get(table.layer, COLUMNS.index("model"))  # fmt: skip


def _places(use_case: UseCase) -> dict[str, tuple[int, int]]:
    """Return column and row of each box by its name."""
    read = [shared.table for shared in use_case.shared_features]
    columns = {_name(table): _column(table) for table in (*use_case.tables, *read)}
    columns[use_case.model.name] = COLUMNS.index("model")
    counts = dict.fromkeys(range(len(COLUMNS)), 0)
    places = {}
    for name, column in columns.items():
        places[name] = (column, counts[column])
        counts[column] += 1
    return places


def _by_column(places: Mapping[str, tuple[int, int]]) -> list[list[str]]:
    return [[name for name, (column, _) in places.items() if column == at] for at in range(len(COLUMNS))]


def _ways(use_case: UseCase) -> dict[tuple[str, str], list[str]]:
    """Return the tasks by the boxes that they read and write; ways back to the left are left out."""
    places, found = _places(use_case), dict[tuple[str, str], list[str]]()
    for job in use_case.jobs:
        for task in (one for one in job.tasks if isinstance(one, Task)):
            for start in _names(task.reads):
                for end in _names(task.writes):
                    if places[start][0] < places[end][0]:
                        tasks = found.setdefault((start, end), [])
                        tasks += [f"{job.name}.{task.key}"] if f"{job.name}.{task.key}" not in tasks else []
    return found


def _names(assets: Sequence[object]) -> list[str]:
    return list(
        dict.fromkeys(_name(one) if isinstance(one, Table) else str(getattr(one, "name", "")) for one in assets)
    )


def _x(column: int) -> float:
    return MARGIN + column * (WIDTH - MARGIN) / len(COLUMNS)


def _width() -> float:
    return round((WIDTH - MARGIN) / len(COLUMNS) - 30, 1)


def _arrow(start: tuple[int, int], end: tuple[int, int], title: str, tip: str) -> str:
    x1, y1 = _x(start[0]) + _width(), TOP + start[1] * LINE + 12
    x2, y2 = _x(end[0]), TOP + end[1] * LINE + 12
    bend = max(30.0, (x2 - x1) / 2)
    return f'<path d="M{x1:.1f} {y1}C{x1 + bend:.1f} {y1} {x2 - bend:.1f} {y2} {x2:.1f} {y2}" marker-end="url(#{tip})"><title>{escape(title)}</title></path>'
