"""What people see: colours and live progress on a terminal, plain lines everywhere else.

Rich is loaded for a terminal alone: a machine that reads the lines does not wait for it.
"""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console as Rich


class Console:
    """Writes to standard output; errors go to standard error."""

    def line(self, text: str, style: str | None = None) -> None:
        """Write one line, as it is."""
        if self._is_terminal:
            self._terminal.print(text, style=style, markup=False, soft_wrap=True)
        else:
            print(text)

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[object]], *, none: str = "") -> None:
        """Write rows under a head; numbers are set to the right.

        Parameters
        ----------
        none
            What is written in place of all of it if there is no row; by default that there is none of what the title names.
        """
        if not rows:
            self.line(none or f"{title}: none")
            return
        self.line(title, style="bold")
        numeric = [all(isinstance(row[place], int | float) for row in rows) for place in range(len(columns))]
        texts = [[_text(value) for value in row] for row in rows]
        if self._is_terminal:
            self._terminal_table(columns, texts, numeric)
        else:
            for line in _plain_table(columns, texts, numeric):
                print(line)

    def error(self, text: str) -> None:
        """Write an error to standard error."""
        print(f"error: {text}", file=sys.stderr)

    def detail(self, text: str) -> None:
        """Write lines that belong to the error before them to standard error, as they are."""
        print(text, file=sys.stderr)

    @contextmanager
    def working(self, what: str) -> Iterator[Callable[[str], None]]:
        """Show a spinner on a terminal while work goes on; elsewhere nothing, lines report what is done.

        Yields
        ------
        callable
            Takes a new text for the spinner.
        """
        if not self._is_terminal:
            yield lambda _text: None
            return
        from rich.markup import escape

        with self._terminal.status(escape(what), spinner="dots") as status:
            yield lambda text: status.update(escape(text))

    @cached_property
    def _is_terminal(self) -> bool:
        return sys.stdout.isatty() or bool(os.environ.get("FORCE_COLOR"))

    @cached_property
    def _terminal(self) -> "Rich":
        from rich.console import Console as Rich

        return Rich(highlight=False)

    def _terminal_table(self, columns: Sequence[str], rows: Sequence[Sequence[str]], numeric: Sequence[bool]) -> None:
        from rich.box import SIMPLE_HEAD
        from rich.table import Table

        shown = Table(box=SIMPLE_HEAD, pad_edge=False)
        for name, is_number in zip(columns, numeric, strict=True):
            shown.add_column(name, justify="right" if is_number else "left", overflow="fold")
        for row in rows:
            shown.add_row(*row)
        self._terminal.print(shown, markup=False)


def _plain_table(columns: Sequence[str], rows: Sequence[Sequence[str]], numeric: Sequence[bool]) -> Iterator[str]:
    """Yield the lines of a table whose columns are as wide as their longest cell."""
    lines = [columns, *rows]
    widths = [max(len(line[place]) for line in lines) for place in range(len(columns))]
    for line in lines:
        cells = [
            cell.rjust(width) if is_number else cell.ljust(width)
            for cell, width, is_number in zip(line, widths, numeric, strict=True)
        ]
        yield "  ".join(cells).rstrip()


def _text(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:,.4f}" if abs(value) < 10 else f"{value:,.1f}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
