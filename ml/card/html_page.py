"""Renders a model card as one self-contained page of HTML, which MLflow shows among the artifacts of a run."""

from html import escape

from ml.card.record import CardSection, CardTable, ModelCard

STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}"
    "h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2rem;border-bottom:1px solid #ddd}"
    "table{border-collapse:collapse;margin:.6rem 0;font-size:.9rem}caption{text-align:left;font-weight:600}"
    "th,td{text-align:left;vertical-align:top;padding:.2rem .7rem .2rem 0;border-bottom:1px solid #eee}"
)


def card_page(card: ModelCard) -> str:
    """Return the page: no script, no font and no address of another file."""
    sections = "\n".join(_section(section) for section in card.sections)
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>Model card: {escape(card.title)}'
        f"</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<h1>Model card: {escape(card.title)}</h1>\n"
        f"<p>As of the gate's decision in {escape(card.environment)} at {escape(card.decided_at)}, evaluation "
        f"{escape(card.evaluation_id)}.</p>\n{sections}\n</body>\n</html>\n"
    )


def _section(section: CardSection) -> str:
    sentences = "".join(f"<p>{escape(sentence)}</p>\n" for sentence in section.sentences)
    return f"<h2>{escape(section.heading)}</h2>\n{sentences}{''.join(_table(table) for table in section.tables)}"


def _table(table: CardTable) -> str:
    head = "".join(f'<th scope="col">{escape(column)}</th>' for column in table.columns)
    rows = "\n".join(f"<tr>{''.join(f'<td>{escape(text)}</td>' for text in row)}</tr>" for row in table.rows)
    caption = f"<caption>{escape(table.caption)}</caption>" if table.caption else ""
    return f"<table>{caption}\n<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}\n</tbody></table>\n"
