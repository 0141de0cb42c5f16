"""Which use cases an integration run takes: one by name, some of those that the environment trains, or all of these."""

from types import SimpleNamespace

import pytest

from ml.spec.errors import RequestError
from pipelines.commands import integration
from pipelines.commands.integration import _chosen
from pipelines.declarations.environment import environment
from pipelines.declarations.mistakes import DeclarationError
from pipelines.declarations.registry import use_case, use_cases


def names(name: str | None = None, among: str = "", env: str = "dev") -> list[str]:
    """Return the names of what would run."""
    return [one.name for one in _chosen(name, among, environment(env))]


def test_without_names_all_that_the_environment_trains_run() -> None:
    """A use case that is trained elsewhere is left out."""
    assert names() == [one.name for one in use_cases() if "dev" in one.trained_in]
    assert names(env="staging") == [one.name for one in use_cases() if "staging" in one.trained_in]


def test_among_some_names_those_run_that_the_environment_trains(monkeypatch: pytest.MonkeyPatch) -> None:
    """What main asks for in every environment: a use case that one does not train is no error."""
    elsewhere = SimpleNamespace(name="air_time", trained_in=("staging",), shared_features=())
    found = {"air_time": elsewhere, "flight_delay": use_case("flight_delay")}
    monkeypatch.setattr(integration, "use_case_named", found.__getitem__)
    assert names(among="air_time,flight_delay") == ["flight_delay"]
    assert names(among="air_time") == []


def test_a_name_that_does_not_exist_and_two_ways_of_naming_are_refused() -> None:
    """Nothing runs by accident."""
    with pytest.raises(DeclarationError, match="no_such"):
        names(among="flight_delay,no_such")
    with pytest.raises(RequestError, match="not both"):
        names("flight_delay", among="flight_delay")
