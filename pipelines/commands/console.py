"""What people see: colours and live progress on a terminal, plain lines everywhere else."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.box import SIMPLE_HEAD
from rich.console import Console as Rich
from rich.markup import escape
from rich.table import Table

PLAIN_WIDTH = 200
"""Characters a plain line may have before a table cell is folded."""


class Console:
    """Writes to standard output; mistakes go to standard error."""

    def __init__(self) -> None:
        self._out = Rich(highlight=False)
        if not self._out.is_terminal:
            self._out = Rich(highlight=False, width=PLAIN_WIDTH, no_color=True)
        self._errors = Rich(stderr=True, highlight=False, soft_wrap=True)

    def line(self, text: str, style: str | None = None) -> None:
        """Write one line, as it is."""
        self._out.print(text, style=style, markup=False, soft_wrap=True)

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """Write rows under a head; numbers are set to the right."""
        self.line(title, style="bold")
        shown = Table(box=SIMPLE_HEAD if self._out.is_terminal else None, pad_edge=False)
        for place, name in enumerate(columns):
            numeric = bool(rows) and all(isinstance(row[place], int | float) for row in rows)
            shown.add_column(name, justify="right" if numeric else "left", overflow="fold")
        for row in rows:
            shown.add_row(*(_text(value) for value in row))
        self._out.print(shown, markup=False) if rows else self.line("(none)")

    def error(self, text: str) -> None:
        """Write what went wrong to standard error."""
        self._errors.print(f"error: {text}", markup=False)

    def detail(self, text: str) -> None:
        """Write lines that belong to the error before them to standard error, as they are."""
        self._errors.print(text, markup=False, style="dim")

    def traceback(self) -> None:
        """Write the traceback of the exception being handled to standard error."""
        self._errors.print_exception()

    @contextmanager
    def working(self, what: str) -> Iterator[Callable[[str], None]]:
        """Show that work is going on: a spinner on a terminal, nothing elsewhere (lines report what is done).

        Yields
        ------
        callable
            Takes a new text for the spinner.
        """
        if not self._out.is_terminal:
            yield lambda _text: None
            return
        with self._out.status(escape(what), spinner="dots") as status:
            yield lambda text: status.update(escape(text))


def _text(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:,.4f}" if abs(value) < 10 else f"{value:,.1f}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
