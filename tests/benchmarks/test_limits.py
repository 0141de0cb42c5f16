"""Every benchmark states its limits as ratios, so the verdict does not depend on how fast the machine is."""

import importlib
from dataclasses import replace

import pytest

from benchmarks.__main__ import BENCHMARKS, PROOFS
from benchmarks.calibration import calibrate, unit
from benchmarks.limits import Figure, Limit, judge

LIMIT = Limit(what="ours", alternative="theirs", at_most=0.5)


@pytest.mark.parametrize(("seconds", "code"), [(4.9, 0), (5.0, 0), (5.1, 1)])
def test_a_ratio_above_its_limit_fails_and_one_at_its_limit_passes(seconds: float, code: int) -> None:
    """The limit itself is allowed."""
    assert judge([Figure(limit=LIMIT, seconds=seconds, alternative_seconds=10.0)]) == code


@pytest.mark.parametrize("factor", [0.1, 1.0, 2.3, 40.0])
@pytest.mark.parametrize("seconds", [4.0, 6.0])
def test_a_slower_machine_gets_the_same_verdict(factor: float, seconds: float) -> None:
    """Both times grow by the same factor, and the verdict stays."""
    here = Figure(limit=LIMIT, seconds=seconds, alternative_seconds=10.0)
    there = replace(here, seconds=seconds * factor, alternative_seconds=10.0 * factor)
    assert here.holds is there.holds


def test_one_figure_above_its_limit_fails_the_benchmark(capsys: pytest.CaptureFixture[str]) -> None:
    """Every figure is printed with its ratio, its limit and its seconds, whatever the verdict."""
    figures = [Figure(limit=LIMIT, seconds=s, alternative_seconds=10.0) for s in (2.0, 6.0, 3.0)]
    assert judge(figures) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["within", "ABOVE", "within"]
    assert "ours: 0.6 x theirs, at most 0.5 x (6.00 s, 10.00 s)" in lines[1]


@pytest.mark.parametrize("name", sorted(BENCHMARKS.keys() - PROOFS))
def test_every_benchmark_states_limits_as_ratios(name: str) -> None:
    """No benchmark has a limit in seconds."""
    module = importlib.import_module(f"benchmarks.{name}")
    assert module.LIMITS
    assert all(isinstance(limit, Limit) and limit.at_most > 0 for limit in module.LIMITS)
    assert not [constant for constant in vars(module) if "LIMIT" in constant and "SECONDS" in constant]


def test_a_calibration_gives_one_time_for_each_repetition() -> None:
    """Two processes do the work at the same time; the unit is the median of all times."""
    assert len(calibrate(side_by_side=2, repeats=1)) == 1
    assert unit([1.0, 9.0], [2.0, 3.0, 4.0]) == 3.0
