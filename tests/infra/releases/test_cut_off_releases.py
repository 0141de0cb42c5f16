"""A release that is cut off loses nothing that was made, and its repetition ends as if nobody had disturbed it.

A share of the points; ``python -m benchmarks.cut_off`` goes through all of them.
"""

import random
from collections.abc import Iterator

import pytest

from benchmarks.simulation.cut_off_releases import KILLS, SIGNALLED, THINGS, Point, Releases, Signal
from benchmarks.simulation.slow_cloud import slow_cloud
from infra.terraform_cli.interruption import SIGNALS

pytestmark = pytest.mark.terraform
SEED = 20261127
_DRAWN = random.Random(SEED)
_BY_ITSELF = [p for p in SIGNALLED if isinstance(p, Signal) and p.number in SIGNALS and p.made < THINGS]
SHARE: tuple[Point, ...] = (
    _DRAWN.choice([p for p in (*KILLS, *SIGNALLED) if p not in _BY_ITSELF]),
    _DRAWN.choice([p for p in _BY_ITSELF if p.twice]),
)
"""A kill, between two steps or while Terraform works; and a signal that comes twice."""


@pytest.fixture(scope="module")
def releases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Releases]:
    """Return an environment in which a planned release can be cut off."""
    folder = tmp_path_factory.mktemp("cut-off")
    with slow_cloud(folder / "cloud", seconds=0.3) as variables:
        yield Releases(folder / "releases", folder / "cloud", variables)


@pytest.mark.parametrize("point", SHARE, ids=str)
def test_a_release_that_is_cut_off_and_repeated_ends_as_an_undisturbed_one(releases: Releases, point: Point) -> None:
    """Everything that was made is in the state, and records and states are those of an undisturbed release."""
    assert releases.cut_off(point) == []
