"""A few days of the simulated year; the whole is ``python -m benchmarks.year --days 365``."""

from pathlib import Path

import pytest

from benchmarks.simulation import year_feed, year_life
from benchmarks.simulation.year_life import FIRST_TRAINING, BrokenError, live, simulated


@pytest.mark.proof
def test_days_hold_and_a_lost_prediction_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Training, late and corrected rows, a feed that fails and maintenance; then a request that nobody delivered."""
    use_case = simulated()
    monkeypatch.setattr(year_life, "FAILS_EVERY", FIRST_TRAINING + 2)
    monkeypatch.setattr(year_life, "MAINTAINED_EVERY", FIRST_TRAINING + 3)
    for day in range(FIRST_TRAINING, FIRST_TRAINING + 3):
        cost = live(tmp_path, use_case, day)
        assert cost["files"] > 0
    asked = year_feed.requests_of(FIRST_TRAINING + 1)
    lost = next(request for request in asked if not request.bad)
    more = (*asked, year_life.replace(lost, key="r0057-lost"))
    real = year_feed.requests_of
    monkeypatch.setattr(year_feed, "_days", lambda *_: iter(()))  # the feed delivers nothing more
    monkeypatch.setattr(year_feed, "requests_of", lambda day: more if day == FIRST_TRAINING + 1 else real(day))
    with pytest.raises(BrokenError, match=r"1 lost|lost, 0 of nothing"):
        live(tmp_path, use_case, FIRST_TRAINING + 3)
