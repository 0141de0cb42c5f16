"""The benchmark of joins compares two implementations of the same join."""

import pytest

from benchmarks import joins


def test_both_implementations_return_the_same_rows(capsys: pytest.CaptureFixture[str]) -> None:
    """On few rows, for entities of equal size and for one frequent entity; each has its line in the output.

    The benchmark raises if the rows differ. Times of so few rows say nothing, so the verdicts are not compared.
    """
    joins.main(["--spine", "2000", "--features", "10000"])
    printed = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[2].partition(":")[0] for line in printed[1:]] == [
        "join by bucket, entities of equal size",
        "join by bucket, one entity with half of all rows",
    ]
