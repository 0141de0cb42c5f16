"""The platform engineer's guide: every stack, table and key in it is real."""

import dataclasses
import os
import re
import shlex
from collections.abc import Mapping

import pytest
import yaml

from infra.build.release import ROOT
from infra.commands.matrix import matrix
from infra.config.loading import Settings
from infra.config.model import AccountSettings, EnvironmentSettings, GroupSource, StateStorage
from infra.config.stack_names import identity_of
from infra.constructs.release import Release
from infra.description.permission_matrix import as_markdown
from infra.stacks.estate import stacks
from infra.synthesis.stack import Stack
from pipelines.declarations.registry import use_cases

GUIDE = (ROOT / "docs" / "platform.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^ *```(\w+)\n(.*?)^ *```", GUIDE, flags=re.DOTALL | re.MULTILINE)
LINES = [line.strip() for kind, text in BLOCKS if kind == "bash" for line in text.splitlines() if line.strip()]


def test_the_guide_has_commands() -> None:
    """What follows would pass on an empty page."""
    assert len(LINES) > 15


def test_what_talks_to_a_workspace_is_told_which_one(estate: Mapping[str, Stack]) -> None:
    """Before each such command its address is set, which is an output of the platform that the guide names."""
    talking = [text for kind, text in BLOCKS if kind == "bash" and "--remote" in text]
    assert talking
    for text in talking:
        assert "export DATABRICKS_HOST=WORKSPACE_URL" in text.partition("--remote")[0]
    assert "`workspace_url`" in GUIDE
    assert "workspace_url" in estate["dev-platform"].outputs


@pytest.fixture(scope="module")
def first_connected(settings: Settings, release: Release) -> Mapping[str, Stack]:
    """Every stack after the fifth step of the guide: account and dev have a place for their state, no other has."""
    text = next(text for kind, text in BLOCKS if kind == "yaml")
    stated = yaml.safe_load(text.replace("SUBSCRIPTION_ID", settings.environments["dev"].subscription_id))
    state = StateStorage.model_validate(stated["state"])
    dev = settings.environments["dev"].model_copy(update={"state": state})
    connected = dataclasses.replace(
        settings,
        account=settings.account.model_copy(update={"state": state}),
        environments={**settings.environments, "dev": dev},
    )
    return {stack.name: stack for stack in stacks(connected, use_cases(), release)}


@pytest.mark.parametrize("line", [line for line in LINES if line.startswith("npx cdktf")])
def test_every_stack_that_the_guide_deploys_exists_and_is_deployed_alone_after_what_it_reads(
    line: str, first_connected: Mapping[str, Stack]
) -> None:
    """The stacks that a stack depends on may be another identity's, so the line before has deployed them."""
    _npx, _cdktf, command, *rest = shlex.split(line)
    named = [word for word in rest if not word.startswith("--")]
    assert command in ("diff", "deploy", "output", "destroy")
    assert set(named) <= set(first_connected)
    if command == "deploy":
        (name,) = named
        before = {
            word for earlier in LINES[: LINES.index(line)] if "cdktf deploy" in earlier for word in earlier.split()
        }
        assert set(first_connected[name].read) <= before, name
        assert (rest[1:] == ["--ignore-missing-stack-dependencies"]) == bool(first_connected[name].read)


def test_the_program_that_the_guide_names_for_terraform_exists() -> None:
    """And can be run."""
    exported = {line.partition("=")[2].strip('"') for line in LINES if line.startswith("export TERRAFORM_BINARY_NAME=")}
    (program,) = exported
    assert os.access(program.replace("$PWD", str(ROOT)), os.X_OK)


def test_the_example_of_a_state_is_one() -> None:
    """It can be pasted, once the ids are filled in."""
    text = next(text for kind, text in BLOCKS if kind == "yaml")
    stated = yaml.safe_load(text.replace("SUBSCRIPTION_ID", "5a0b1c2d-3e4f-4a5b-8c6d-7e8f90a1b2c3"))
    assert StateStorage.model_validate(stated["state"])
    assert "state" in EnvironmentSettings.model_fields


def test_the_example_of_an_existing_company_is_one(settings: Settings) -> None:
    """The account as shipped with these lines: nothing of the metastore and the groups is created."""
    text = [text for kind, text in BLOCKS if kind == "yaml"][1]
    stated = {**settings.account.model_dump(mode="json"), **yaml.safe_load(text)}
    account = AccountSettings.model_validate(stated)
    assert account.metastore.id is not None
    assert account.entra_groups_are is GroupSource.EXISTING
    assert set(account.entra_groups.values()) == {None}


def test_the_table_of_stacks_names_the_identity_that_applies_each() -> None:
    """The account's two stacks, and dev's two."""
    rows = dict(
        re.findall(r"^\| `([a-z-]+)` \| (?:the|dev's) identity(?: of the (account))?", GUIDE, flags=re.MULTILINE)
    )
    assert {stack: found or "dev" for stack, found in rows.items()} == {
        stack: identity_of(stack) for stack in ("account", "dev-platform", "dev-account", "dev-workspace")
    }


def test_the_permission_matrix_in_the_guide_is_that_of_the_settings(settings: Settings) -> None:
    """The table is the output of `python -m infra matrix`; REWRITE_GOLDEN=1 replaces it."""
    begin, end = "<!-- permission matrix -->\n\n", "\n\n<!-- end of permission matrix -->"
    before, shown, after = re.split(rf"(?<={begin})(.*)(?={end})", GUIDE, flags=re.DOTALL)
    table = as_markdown(matrix(settings)).strip()
    if os.environ.get("REWRITE_GOLDEN"):
        (ROOT / "docs" / "platform.md").write_text(before + table + after, encoding="utf-8")
    else:
        assert shown == table
