"""The coverage table of the Security Analysis Tool is true: what it says is decided here is decided here."""

import re

import pytest

from infra.__main__ import main
from infra.checks.security_analysis import ROWS, Decided
from infra.graph.meanings import meanings

HERE = {key: row for key, row in ROWS.items() if row.decided is Decided.HERE}


@pytest.mark.parametrize("key", HERE)
def test_a_control_that_is_decided_here_is_in_the_tables(key: str) -> None:
    """A type with a required argument, or a type or argument that no table knows and that is therefore refused."""
    for kind, argument, refused in re.findall(
        r"\b((?:databricks|azurerm)_\w+)(?: ([a-z][\w.]+[\w]))?( is an unknown)?", HERE[key].by
    ):
        if refused and not argument:
            assert kind not in meanings()
        elif argument and argument not in ("is",):
            known = meanings()[kind].rules
            assert (argument in known) != (f"{argument} is an unknown argument" in HERE[key].by), (kind, argument)


def test_the_coverage_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """One line for each check for Azure, and how many are decided where."""
    assert main(["check", "--coverage"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(ROWS) + 1 == 62
    assert lines[-1].startswith(f"61 checks of the Security Analysis Tool for Azure: {len(HERE)} here")
