"""The year of the demonstration as one SVG, drawn from the lines that it prints: picture and text cannot differ."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 860, 330, 64, 150, 58, 78
ROW = re.compile(
    r"^(?P<month>\d{4}-\d\d) +(?P<predictions>[\d,]+) +[\d,]+ +v(?P<champion>\d+) +(?P<score>\d\.\d+) +(?P<baseline>\d\.\d+) "
    r"+(?P<findings>\d+) (?P<retraining>.+?) +[\d.]+$"
)
HEAD = re.compile(r"^month +predictions +no label yet +champion +(?P<metric>\S+(?: \S+)*?) +never retrained")
STYLE = (
    "text{font-family:system-ui,sans-serif;font-size:13px;fill:#1f2933}.note{font-size:12px;fill:#52606d}"
    ".title{font-size:15px;font-weight:600}.champion{stroke:#0b5cad;stroke-width:2.5;fill:none}"
    ".baseline{stroke:#7b8794;stroke-width:2;stroke-dasharray:5 4;fill:none}.grid{stroke:#e4e7eb}"
    ".promoted{stroke:#c77700;stroke-width:1.5}.dot{fill:#0b5cad}"
)


@dataclass(frozen=True, kw_only=True)
class Shown:
    """One month of the printed table."""

    month: str
    champion: int
    score: float
    baseline: float
    findings: int
    retraining: str

    @property
    def promoted(self) -> int | None:
        """The version that a retraining of this month made champion."""
        found = re.search(r"v(\d+) promoted", self.retraining)
        return int(found[1]) if found else None


def months(lines: Sequence[str]) -> tuple[Shown, ...]:
    """Return the months that the demonstration has printed."""
    rows = [found for line in lines if (found := ROW.match(line.rstrip()))]
    return tuple(
        Shown(
            month=row["month"], champion=int(row["champion"]), score=float(row["score"]),
            baseline=float(row["baseline"]), findings=int(row["findings"]), retraining=row["retraining"].strip(),
        )
        for row in rows
    )  # fmt: skip


def year_picture(lines: Sequence[str]) -> str:
    """Return the months of the printed table as one SVG: quality, versions, promotions and findings.

    Raises
    ------
    ValueError
        If the lines hold no table.
    """
    shown = months(lines)
    metric = next((found["metric"] for line in lines if (found := HEAD.match(line))), None)
    if not shown or metric is None:
        raise ValueError("the lines hold no table of months")
    scale = _Scale(shown)
    title = f"{metric} per month in prod: the champion, and the first model left as it was"
    note = (
        "a retraining needs a finding, a promotion needs a verdict; both are on the page that the demonstration writes"
    )
    parts = [
        f'<text class="title" x="{LEFT}" y="24">{escape(title)}</text>',
        f'<text class="note" x="{LEFT}" y="42">{escape(note)}</text>',
        *_grid(scale),
        *_months(shown, scale),
        _line("baseline", [one.baseline for one in shown], scale),
        _line("champion", [one.score for one in shown], scale),
        *(
            f'<circle class="dot" cx="{scale.x(at)}" cy="{scale.y(one.score)}" r="3.5"/>'
            for at, one in enumerate(shown)
        ),
        f'<text x="{WIDTH - RIGHT + 12}" y="{scale.y(shown[-1].score) + 4}">v{shown[-1].champion}, champion</text>',
        f'<text class="note" x="{WIDTH - RIGHT + 12}" y="{scale.y(shown[-1].baseline) + 4}">never retrained</text>',
    ]
    label = (
        f"{metric} from {shown[0].month} to {shown[-1].month}: champion {shown[0].score} to {shown[-1].score}, "
        f"never retrained {shown[0].baseline} to {shown[-1].baseline}"
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(label)}">'
        f'<style>{STYLE}</style><rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>{"".join(parts)}</svg>\n'
    )


class _Scale:
    """Places of months and scores in the picture."""

    def __init__(self, shown: Sequence[Shown]) -> None:
        scores = [score for one in shown for score in (one.score, one.baseline)]
        self.low, self.high = int(min(scores) * 50) / 50, (int(max(scores) * 50) + 1) / 50
        self._step = (WIDTH - LEFT - RIGHT) / max(len(shown) - 1, 1)

    def x(self, at: int) -> float:
        return round(LEFT + at * self._step, 1)

    def y(self, score: float) -> float:
        share = (score - self.low) / (self.high - self.low)
        return round(HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM), 1)


def _grid(scale: _Scale) -> list[str]:
    steps = round((scale.high - scale.low) / 0.02)
    values = [scale.low + number * 0.02 for number in range(steps + 1)]
    return [
        f'<path class="grid" d="M{LEFT} {scale.y(value)}H{WIDTH - RIGHT}"/><text class="note" x="{LEFT - 8}" '
        f'y="{scale.y(value) + 4}" text-anchor="end">{value:.2f}</text>'
        for value in values
    ]


def _months(shown: Sequence[Shown], scale: _Scale) -> list[str]:
    """Return below each month its name, version and findings, and a line where a version was promoted at its end."""
    parts = []
    for at, one in enumerate(shown):
        x, below = scale.x(at), HEIGHT - BOTTOM
        parts += [
            f'<text class="note" x="{x}" y="{below + 20}" text-anchor="middle">{one.month}</text>',
            f'<text class="note" x="{x}" y="{below + 37}" text-anchor="middle">v{one.champion}</text>',
            f'<text class="note" x="{x}" y="{below + 54}" text-anchor="middle">{_counted(one.findings)}</text>',
        ]
        if one.promoted is not None:
            between = round((x + scale.x(at + 1)) / 2, 1)
            parts.append(
                f'<path class="promoted" d="M{between} {TOP}V{below}"/><text class="note" x="{between + 5}" y="{TOP + 12}">'
                f"v{one.promoted} promoted</text>"
            )
    return parts


def _counted(findings: int) -> str:
    return f"{findings} finding" + ("s" if findings != 1 else "")


def _line(kind: str, scores: Sequence[float], scale: _Scale) -> str:
    points = "L".join(f"{scale.x(at)} {scale.y(score)}" for at, score in enumerate(scores))
    return f'<path class="{kind}" d="M{points}"/>'
