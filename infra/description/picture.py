"""All stacks as one SVG: the account above, the stacks of each environment below, with the number of resources."""

from collections.abc import Sequence
from html import escape

from infra.config.stack_names import ACCOUNT, PARTS_OF_ENVIRONMENTS, stack_name
from infra.description.describe import StackSummary

COLUMN, GAP, MARGIN, LINE, HEAD, BETWEEN = 310, 26, 20, 19, 52, 34
STYLE = """
  .estate text { font-family: system-ui, sans-serif; fill: #1f2933; }
  .estate .box { fill: #ffffff; stroke: #9aa5b1; }
  .estate .environment { fill: #f5f7fa; stroke: #cbd2d9; }
  .estate .title { font-size: 14px; font-weight: 600; }
  .estate .note { font-size: 12px; fill: #616e7c; }
  .estate .area { font-size: 12.5px; }
  .estate .arrow { stroke: #616e7c; fill: none; marker-end: url(#estate-arrow); }
"""


def picture(stacks: Sequence[StackSummary]) -> str:
    """Return all stacks as one SVG element.

    Parameters
    ----------
    stacks
        The summary of each stack; arrows point from a stack to the stack that reads it.
    """
    environments = list(dict.fromkeys(stack.environment for stack in stacks if stack.environment))
    by_name = {stack.name: stack for stack in stacks}
    rows = [max(_height(by_name[stack_name(part, name)]) for name in environments) for part in PARTS_OF_ENVIRONMENTS]
    width = 2 * MARGIN + len(environments) * COLUMN + (len(environments) - 1) * GAP
    account = by_name[ACCOUNT]
    top = MARGIN + _height(account, columns=2) + 44
    height = top + HEAD - 20 + sum(rows) + (len(rows) - 1) * BETWEEN + 24 + MARGIN
    parts = [_box(account, MARGIN, MARGIN, width - 2 * MARGIN, _height(account, columns=2), columns=2)]
    for index, name in enumerate(environments):
        left = MARGIN + index * (COLUMN + GAP)
        stacks_of_it = [by_name[stack_name(part, name)] for part in PARTS_OF_ENVIRONMENTS]
        parts.append(_environment(name, left, top, height - top - MARGIN, stacks_of_it, rows))
        parts.append(_arrow(left + COLUMN / 2, top - 42, top - 4))
    label = f"{len(stacks)} stacks with {sum(stack.resources for stack in stacks)} resources"
    return (
        f'<svg class="estate" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="{label}"><style>{STYLE}</style><defs><marker id="estate-arrow" viewBox="0 0 8 8" refX="7" '
        'refY="4" markerWidth="7" markerHeight="7" orient="auto"><path d="M0 0L8 4L0 8z" fill="#616e7c"/></marker>'
        f"</defs>{''.join(parts)}</svg>"
    )


def _height(stack: StackSummary, columns: int = 1) -> int:
    return HEAD + -(-len(stack.areas) // columns) * LINE + 10


def _environment(
    name: str, left: float, top: float, height: float, stacks: Sequence[StackSummary], rows: Sequence[int]
) -> str:
    """Return one environment: its frame, its stacks and an arrow from each to the next."""
    parts = [
        f'<rect class="environment" x="{left}" y="{top}" width="{COLUMN}" height="{height}" rx="8"/>',
        f'<text class="title" x="{left + 14}" y="{top + 22}">{escape(name)}</text>',
    ]
    y = top + HEAD - 20
    for position, (stack, row) in enumerate(zip(stacks, rows, strict=True)):
        if position:
            parts.append(_arrow(left + COLUMN / 2, y - BETWEEN, y - 3))
        parts.append(_box(stack, left + 12, y, COLUMN - 24, row))
        y += row + BETWEEN
    return "".join(parts)


def _box(stack: StackSummary, left: float, top: float, width: float, height: float, columns: int = 1) -> str:
    lines = [
        f'<rect class="box" x="{left}" y="{top}" width="{width}" height="{height}" rx="6"/>',
        f'<text class="title" x="{left + 12}" y="{top + 21}">{escape(stack.name)}</text>',
        f'<text class="note" x="{left + 12}" y="{top + 38}">{_reads(stack)}</text>',
        f'<text class="note" x="{left + width - 12}" y="{top + 21}" text-anchor="end">{stack.resources} resources</text>',
    ]
    share = width / columns
    for position, (area, count) in enumerate(stack.areas.items()):
        x, y = left + (position % columns) * share, top + HEAD + 8 + (position // columns) * LINE
        lines.append(f'<text class="area" x="{x + 12}" y="{y}">{escape(area)}</text>')
        lines.append(f'<text class="area" x="{x + share - 12}" y="{y}" text-anchor="end">{count}</text>')
    return "".join(lines)


def _reads(stack: StackSummary) -> str:
    """Return what a stack reads, short enough for its box: platforms by the names of their environments.

    The stack above it in the picture is left out.
    """
    if not stack.reads:
        return "deployed first"
    platforms = [name.removesuffix("-platform") for name in stack.reads if name.endswith("-platform")]
    own_account = {f"{stack.environment}-account"}
    others = [name for name in stack.reads if not name.endswith("-platform") and name not in own_account]
    reads = [", ".join(others)] * bool(others) + [f"platforms {', '.join(platforms)}"] * bool(platforms)
    return escape(f"reads {'; '.join(reads)}")


def _arrow(x: float, start: float, end: float) -> str:
    return f'<path class="arrow" d="M{x} {start}V{end}"/>'
