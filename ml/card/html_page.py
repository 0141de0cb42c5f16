"""Renders a model card as one self-contained page of HTML, which MLflow shows among the artifacts of a run."""

import html
from datetime import datetime

from ml.card.record import CardSection, CardTable, ModelCard
from ml.metrics.metric_labels import readable

STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}"
    "h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2rem;border-bottom:1px solid #ddd}"
    "h1,p{overflow-wrap:anywhere}.scroll{overflow-x:auto}"
    "table{border-collapse:collapse;margin:.6rem 0;font-size:.9rem}caption{text-align:left;font-weight:600}"
    "th,td{text-align:left;vertical-align:top;padding:.2rem .7rem .2rem 0;border-bottom:1px solid #eee}"
    ".n{text-align:right;white-space:nowrap}"
)


def card_page(card: ModelCard) -> str:
    """Return the page: no script, no font and no address of another file; metrics have the names that people write."""
    decided = datetime.fromisoformat(card.decided_at)
    sections = "\n".join(_section(section) for section in card.sections)
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<title>Model card: {_shown(card.title)}'
        f"</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n<h1>Model card: {_shown(card.title)}</h1>\n"
        f"<p>As of the gate's decision in {_shown(card.environment)} at {decided:%Y-%m-%d %H:%M %Z}, evaluation "
        f"{_shown(card.evaluation_id)}.</p>\n{sections}\n</main>\n</body>\n</html>\n"
    )


def _shown(text: str) -> str:
    """Return a text of the card for the page."""
    return html.escape(readable(text))


def _section(section: CardSection) -> str:
    sentences = "".join(f"<p>{_shown(sentence)}</p>\n" for sentence in section.sentences)
    return f"<h2>{_shown(section.heading)}</h2>\n{sentences}{''.join(_table(table) for table in section.tables)}"


def _table(table: CardTable) -> str:
    kinds = [' class="n"' if numeric else "" for numeric in table.numeric]
    head = "".join(
        f'<th scope="col"{kind}>{_shown(column)}</th>' for column, kind in zip(table.columns, kinds, strict=True)
    )
    rows = "\n".join(
        f"<tr>{''.join(f'<td{kind}>{_shown(text)}</td>' for text, kind in zip(row, kinds, strict=True))}</tr>"
        for row in table.rows
    )
    return (
        '<div class="scroll" tabindex="0" role="group" aria-label="scrolls sideways"><table>'
        f"<caption>{_shown(table.caption)}</caption>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}\n</tbody></table></div>\n"
    )
