"""The key with which dev hashes is in a scope of its own that only the identity of dev's jobs may read."""

from collections.abc import Mapping

import pytest

from infra.config.checks import load_settings
from infra.config.loading import Settings, SettingsError
from infra.constructs.release import Release
from infra.graph.declared import as_synthesized
from infra.graph.proof import prove
from infra.stacks.estate import stacks as estate_stacks
from infra.synthesis.stack import Stack
from pipelines.declarations.registry import use_cases
from pipelines.declarations.use_case import UseCase
from tests.infra.conftest import SettingsFolder
from tests.pipelines.tasks.data.test_dev_data import REDACTED


@pytest.fixture(scope="module")
def declared() -> tuple[UseCase, ...]:
    """The shipped use cases, one of them with personal data."""
    return tuple(REDACTED if one.name == REDACTED.name else one for one in use_cases())


@pytest.fixture(scope="module")
def redacting(settings: Settings, declared: tuple[UseCase, ...], release: Release) -> Mapping[str, Stack]:
    """Their stacks."""
    return {stack.name: stack for stack in estate_stacks(settings, declared, release)}


def test_dev_has_the_scope_and_its_jobs_alone_may_read_it(redacting: Mapping[str, Stack]) -> None:
    """No team, no role; the other environments hash nothing and have none."""
    resources = redacting["dev-workspace"].resources
    assert resources["databricks_secret_scope.redaction"].arguments["name"] == "redaction"
    acls = [name for name in resources if name.startswith("databricks_secret_acl.redaction")]
    assert acls == ["databricks_secret_acl.redaction_runner"]
    assert "runner" in str(resources[acls[0]].arguments["principal"])
    for environment in ("staging", "prod"):
        assert "databricks_secret_scope.redaction" not in redacting[f"{environment}-workspace"].resources


def test_the_proof_holds_and_a_person_who_may_read_the_key_is_above_the_ceiling(
    redacting: Mapping[str, Stack], settings: Settings, declared: tuple[UseCase, ...]
) -> None:
    """Whoever knew the key could tell values by hashing those that are possible."""
    stacks = as_synthesized(redacting.values())
    assert list(prove(stacks, settings, declared)) == []
    acls = stacks["dev-workspace"].content["resource"]["databricks_secret_acl"]
    acls["stranger"] = {**acls["redaction_runner"], "principal": "grp-mrd-team-operations", "permission": "READ"}
    assert any("stranger" in str(found) for found in prove(stacks, settings, declared))


def test_a_volume_of_dev_is_no_place_for_the_rows_of_a_redacted_source(
    folder: SettingsFolder, declared: tuple[UseCase, ...]
) -> None:
    """Raw rows would be stored in dev; an address outside of it is accepted, as is a volume of prod for prod."""
    outside = "abfss://flights@landing.dfs.core.windows.net/daily"
    folder.change(
        "dev", ("source_locations",), {"flight_delay": {"aircraft": outside, "weather": "/Volumes/dev/landing/w"}}
    )
    folder.change("prod", ("source_locations",), {"flight_delay": {"aircraft": "/Volumes/prod/landing/planes"}})
    load_settings(folder.path, declared)
    folder.change("dev", ("source_locations",), {"flight_delay": {"aircraft": "/Volumes/dev/landing/planes"}})
    with pytest.raises(SettingsError, match="is a volume of dev, which receives redacted data of aircraft"):
        load_settings(folder.path, declared)
    load_settings(folder.path, use_cases())


def test_use_cases_without_hashes_change_nothing(estate: Mapping[str, Stack]) -> None:
    """As shipped, there is no such scope."""
    assert not [name for stack in estate.values() for name in stack.resources if name.endswith(".redaction")]
