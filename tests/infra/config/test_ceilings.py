"""The ceilings are complete, are read with every mistake at once, and are named where settings are above them."""

from pathlib import Path
from typing import Any

import pytest

from infra.config.ceilings import TEAM, CeilingsError, ceilings
from infra.config.checks import load_settings
from infra.config.loading import SettingsError
from infra.permissions.roles import Access, Role
from pipelines.declarations.environment import ENVIRONMENTS


def test_the_ceilings_name_every_level_environment_and_role() -> None:
    """What they leave out could hold nothing, and nobody would know why."""
    held_to = ceilings()
    assert set(held_to.levels) == set(Access)
    assert set(held_to.people) == set(ENVIRONMENTS)
    assert all(set(roles) == {*Role, TEAM} for roles in held_to.people.values())
    assert set(held_to.settings) == {"any", *ENVIRONMENTS}


def test_prod_is_at_least_as_strict_as_staging_and_staging_as_dev() -> None:
    """Whoever may hold a level in prod may hold it in staging too, but for what only prod opens to explain itself."""
    people = ceilings().people
    for stricter, looser in (("staging", "dev"), ("prod", "staging")):
        for role, levels in people[stricter].items():
            assert set(levels) <= set(people[looser][role]), (stricter, role)


def test_a_ceiling_is_named_with_file_line_and_the_remedy(folder: Any) -> None:
    """Before anything is synthesized."""
    folder.change("prod", ("network", "egress"), "open")
    with pytest.raises(SettingsError) as caught:
        load_settings(folder.path)
    (_, mistake) = str(caught.value).splitlines()
    assert "settings/prod.yaml:" in mistake
    assert "network.egress is 'open': is above its ceiling in prod, restricted" in mistake
    assert "raise the ceiling in infra/ceilings.yaml" in mistake


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("levels: [", "cannot be read"),
        ("levels: {}\npeople: {prod: {owner: [none]}}", "people.prod.owner"),
        ("x: 1", "x: Extra"),
    ],
)
def test_a_wrong_file_of_ceilings_is_refused(text: str, said: str, tmp_path: Path) -> None:
    """A ceiling that nobody can read must not be no ceiling."""
    file = tmp_path / "ceilings.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(CeilingsError, match=said):
        ceilings(file)
