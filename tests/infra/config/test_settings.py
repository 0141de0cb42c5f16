"""Settings are typed, checked across files, and every mistake is reported at once."""

import dataclasses
import datetime as dt
import ipaddress
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st

from infra.config.checks import load_settings
from infra.config.loading import FOLDER, Settings, SettingsError, parse, read
from infra.config.schema import MODELS, schema_files
from infra.constructs.azure.network import subnet_ranges
from pipelines.declarations.environment import ENVIRONMENTS
from pipelines.declarations.registry import use_cases


def mistakes_of(folder: Any) -> list[str]:
    """Return the sentences of every mistake in a folder of settings."""
    with pytest.raises(SettingsError) as caught:
        load_settings(folder.path)
    return [str(mistake) for mistake in caught.value.mistakes]


def test_the_shipped_settings_are_right_and_describe_two_teams(settings: Settings) -> None:
    """Three environments in the order of promotion, two teams, private networks."""
    assert list(settings.environments) == list(ENVIRONMENTS)
    assert [team.name for team in settings.teams] == ["operations", "revenue", "loyalty"]
    assert {stated.network.exposure for stated in settings.environments.values()} == {"private"}


PROD = "7c2d3e4f-5061-4c7d-8e8f-90a1b2c3d4e5"
HUB = "/subscriptions/0f1e2d3c-4b5a-4697-8877-665544332211/resourceGroups/rg-hub/providers/Microsoft.Network/"


UNUSED = "61cf9274-eb0b-4364-9362-7faabbd1e117"
STATE = {
    "subscription_id": "5a0b1c2d-3e4f-4a5b-8c6d-7e8f90a1b2c3", "resource_group": "rg", "storage_account": "stmrdstate",
    "container": "terraform", "allowed_ip_ranges": ["203.0.113.0/24"],
}  # fmt: skip


WRONG: Sequence[tuple[str, str, Sequence[int | str], Any, str]] = [
    ("a misspelt key", "dev", ("budgett",), 1, "unknown key. did you mean 'budget'?"),
    ("a misspelt inner key", "dev", ("network", "exposur"), "private", "did you mean 'exposure'?"),
    ("an exposure that does not exist", "dev", ("network", "exposure"), "privat", "did you mean 'private'?"),
    ("a level of access that does not exist", "dev", ("team_access",), "developer", "did you mean 'develop'?"),
    ("a budget below zero", "dev", ("budget", "monthly"), -5, "must be greater than 0"),
    ("a range that is none", "dev", ("network", "address_space"), "10.40.0.0/33", "10.40.0.0/33"),
    ("a range of the internet", "dev", ("network", "address_space"), "8.8.0.0/16", "must be a private IPv4 range"),
    ("a range that is too small", "dev", ("network", "address_space"), "10.40.0.0/28", "must be between /16 and /24"),
    ("the whole internet", "dev", ("network", "allowed_ip_ranges"), ["0.0.0.0/0"], "must not be the whole internet"),
    ("public without ranges", "dev", ("network", "exposure"), "public", "allowed_ip_ranges must be given"),
    (
        "models that nobody lets in",
        "prod",
        ("receives_models",),
        False,
        "opens the models of staging to the jobs of prod",
    ),
    (
        "a zone of another service",
        "dev",
        ("network", "private_dns_zones"),
        {
            "databricks": f"{HUB}privateDnsZones/privatelink.blob.core.windows.net",
            "vault": f"{HUB}privateDnsZones/x",
            "dfs": f"{HUB}privateDnsZones/x",
            "blob": f"{HUB}privateDnsZones/x",
        },
        "databricks must be the id of a private DNS zone with the name privatelink.azuredatabricks.net",
    ),
    ("a hub that is no network", "dev", ("network", "hub"), {"network": f"{HUB}routeTables/x"}, "of a virtual network"),
    (
        "a hub of another environment",
        "dev",
        ("network", "hub"),
        {"network": f"/subscriptions/{PROD}/resourceGroups/rg/providers/Microsoft.Network/virtualNetworks/vnet"},
        "is in the subscription of prod",
    ),
    (
        "a firewall on the internet",
        "dev",
        ("network", "hub"),
        {"network": f"{HUB}virtualNetworks/hub", "egress_firewall": "8.8.8.8"},
        "must be a private IPv4 address",
    ),
    (
        "a zone of the state without an endpoint",
        "dev",
        ("state",),
        {
            "subscription_id": PROD,
            "resource_group": "rg",
            "storage_account": "stmrddevstate",
            "container": "terraform",
            "blob_zone": f"{HUB}privateDnsZones/privatelink.blob.core.windows.net",
        },
        "give endpoint_subnet too",
    ),
    ("a role nobody holds", "dev", ("roles", "ml_engineer", "groups"), [], "at least 1 item"),
    ("a role left out", "prod", ("roles", "data_scientist"), None, "missing: data_scientist"),
    (
        "a group nobody listed",
        "dev",
        ("roles", "ml_engineer", "groups", 0),
        "mrd-ml-enginering",
        "'mrd-ml-engineering'",
    ),
    ("members nobody listed", "teams", ("teams", 0, "members"), "mrd-flight", "unknown group."),
    (
        "a use case nobody declared",
        "teams",
        ("teams", 0, "use_cases", 0),
        "flight_dely",
        "did you mean 'flight_delay'?",
    ),
    (
        "a retired use case that is declared",
        "teams",
        ("teams", 0, "retired"),
        ["air_time"],
        "is declared, so it is not",
    ),
    (
        "a team without its use case",
        "teams",
        ("teams", 0, "use_cases"),
        [],
        "'flight_delay' is listed nowhere; add it to use_cases of team 'operations'",
    ),
    ("a team name that is too long", "teams", ("teams", 0, "name"), "operations" * 4, "must match"),
    ("an organisation's name that is too long", "account", ("organisation",), "meridianair", "must match"),
    ("a region without metastore", "dev", ("region",), "northeurope", "must be 'westeurope'"),
    ("another file's environment", "dev", ("environment",), "prod", "must be 'dev', the name of the file"),
    ("an environment that reads itself", "dev", ("reads",), ["dev"], "not another environment."),
    ("an environment that reads none", "dev", ("reads",), ["production"], "did you mean 'prod'?"),
    ("a size left out", "dev", ("compute", "sizes", "large"), None, "missing: large"),
    ("fewer workers at most than at least", "dev", ("compute", "sizes", "small", "workers_minimum"), 9, "is above"),
    ("a runtime without machine learning", "dev", ("compute", "runtime"), "18.x-scala2.13", "must match"),
    ("a team that administers", "dev", ("team_access",), "administer", "must not be administer"),
    ("nobody to tell", "dev", ("jobs", "notify"), [], "at least 1 item"),
    (
        "a role that does not exist",
        "dev",
        ("roles", "ml_enginer"),
        {"groups": ["a"], "access": "none"},
        "'ml_engineer'?",
    ),
    (
        "a metastore that is created and exists",
        "account",
        ("metastore", "id"),
        "6f1a8c1e-0d2b-4c3d-9e4f-5a6b7c8d9e0f",
        "and not both",
    ),
    ("a metastore of nobody", "account", ("metastore", "administrators"), None, "must name administrators"),
    ("groups from nowhere", "account", ("entra_groups_are",), "existng", "did you mean 'existing'?"),
    ("no budget", "staging", ("budget",), None, "is missing and has no default"),
    ("the range of loopback", "dev", ("network", "address_space"), "127.0.0.0/20", "must be a private IPv4 range"),
    ("a range that Azure keeps", "dev", ("network", "address_space"), "169.254.0.0/20", "must be a private IPv4 range"),
    ("a range with bits left over", "dev", ("network", "address_space"), "10.40.0.1/20", "the range is 10.40.0.0/20"),
    (
        "a resolver by its name",
        "dev",
        ("network", "hub"),
        {"network": f"{HUB}virtualNetworks/hub", "dns_servers": ["dns.internal"]},
        "must be a private IPv4 address such as",
    ),
    (
        "a firewall in another environment",
        "dev",
        ("network", "hub"),
        {"network": f"{HUB}virtualNetworks/hub", "egress_firewall": "10.42.1.4"},
        "is an address of prod; name one of the hub",
    ),
    (
        "a resolver in the environment itself",
        "dev",
        ("network", "hub"),
        {"network": f"{HUB}virtualNetworks/hub", "dns_servers": ["10.0.0.4", "10.40.0.4"]},
        "is an address of this environment",
    ),
    (
        "a state open to half of the internet",
        "dev",
        ("state",),
        {**STATE, "allowed_ip_ranges": ["128.0.0.0/1"]},
        "/16 or narrower",
    ),
    (
        "a state with a private range",
        "dev",
        ("state",),
        {**STATE, "allowed_ip_ranges": ["10.0.0.0/16"]},
        "must be a public IPv4 range",
    ),
    (
        "a state of prod where dev administers",
        "prod",
        ("state",),
        STATE,
        "subscription of dev, whose identity could rewrite",
    ),
    ("a state of the account where dev administers", "account", ("state",), STATE, "or that of prod"),
    (
        "more idle machines than machines",
        "dev",
        ("compute", "pool"),
        {"node_type": "Standard_D4ds_v5", "idle_minimum": 9, "capacity_maximum": 8, "idle_minutes": 15},
        "idle_minimum 9 is above capacity_maximum 8",
    ),
    (
        "a pool below one cluster",
        "dev",
        ("compute", "pool", "capacity_maximum"),
        4,
        "5 machines of one cluster of the size medium",
    ),
    (
        "a group twice",
        "dev",
        ("roles", "ml_engineer", "groups"),
        ["mrd-ml-engineering", "mrd-ml-engineering"],
        "is listed twice",
    ),
    ("an environment twice", "dev", ("reads",), ["prod", "prod"], "is listed twice"),
    ("everybody", "account", ("entra_groups", "account users"), UNUSED, "is a group of Databricks itself"),
    ("everybody in a workspace", "account", ("entra_groups", "Users"), UNUSED, "is a group of Databricks itself"),
    (
        "a group that the stacks make",
        "account",
        ("entra_groups", "grp-mrd-prod-platform-engineer"),
        UNUSED,
        "platform_engineer in prod",
    ),
    (
        "the group of a team",
        "account",
        ("entra_groups", "grp-mrd-team-revenue"),
        UNUSED,
        "is the name of the group of team revenue",
    ),
    (
        "a group in other capitals",
        "account",
        ("entra_groups", "MRD-Data-Platform"),
        UNUSED,
        "in capitals or punctuation alone",
    ),
    ("a month that is a day", "dev", ("budget", "first_month"), dt.date(2026, 11, 1), "is '2026-11-01': must be text"),
    ("a word for a list", "dev", ("reads",), "prod", "must be a list such as"),
]


@pytest.mark.parametrize(("file", "place", "value", "said"), [case[1:] for case in WRONG], ids=[c[0] for c in WRONG])
def test_a_mistake_is_named_with_its_file_line_field_and_remedy(
    folder: Any, file: str, place: Sequence[int | str], value: Any, said: str
) -> None:
    """One sentence each: where it stands, what was got, what is allowed."""
    folder.change(file, place, value)
    found = mistakes_of(folder)
    about = [sentence for sentence in found if said in sentence]
    assert about, found
    assert about[0].startswith(f"settings/{file}.yaml:")


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("compute", "runtime"), "18.x-cpu-ml-scala2.13"),
        (("compute", "runtime"), "17.3.x-gpu-ml-scala2.13"),
        (("compute", "serverless_environment"), "6"),
        (("compute", "pool", "node_type"), "Standard_NC24ads_A100_v4"),
        (("compute", "pool", "node_type"), "Standard_E8-4ds_v6"),
        (("compute", "warehouse", "size"), "2X-Large"),
    ],
)
def test_words_that_a_service_adds_to_are_checked_by_their_form_alone(
    folder: Any, place: Sequence[int | str], value: Any
) -> None:
    """A runtime of one number or two, a node type of another family, a size above those of last year."""
    folder.change("dev", place, value)
    load_settings(folder.path)


def test_every_mistake_of_every_file_is_reported_at_once(folder: Any) -> None:
    """A mistake within a file hides neither its other mistakes nor those between files."""
    folder.change("dev", ("budget", "monthly"), -1)
    folder.change("dev", ("roles", "ml_engineer", "groups"), [])
    folder.change("staging", ("network", "address_space"), "10.40.8.0/21")
    folder.change("prod", ("roles", "platform_engineer", "groups", 0), "nobody")
    folder.change("teams", ("teams", 1, "members"), "strangers")
    folder.change("teams", ("teams", 1, "name"), "x" * 40)
    found = "\n".join(mistakes_of(folder))
    for said in ("budget.monthly", "roles.ml_engineer.groups", "overlaps 10.40.0.0/20 of dev", "'nobody'",
                 "'strangers'", "teams.1.name", "declares the team 'revenue'"):  # fmt: skip
        assert said in found
    of_the_renamed_team = folder.read("teams")["teams"][1]["use_cases"]
    assert len(mistakes_of(folder)) == 6 + len(of_the_renamed_team)


def test_the_line_of_a_mistake_is_the_line_of_the_value(folder: Any) -> None:
    """An editor can jump there."""
    text = (folder.path / "dev.yaml").read_text(encoding="utf-8")
    folder.write("dev", text.replace("monthly: 4000", "monthly: 0"))
    line = next(n for n, content in enumerate(text.splitlines(), start=1) if "monthly: 4000" in content)
    assert mistakes_of(folder) == [f"settings/dev.yaml:{line}: budget.monthly is 0: must be greater than 0"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("environment: [dev", "the file is not YAML"),
        ("environment: dev\nenvironment: dev\n", "'environment' is repeated"),
        ("", "must hold keys with their values"),
        ("just words", "must hold keys with their values"),
    ],
    ids=["broken", "a key twice", "empty", "no mapping"],
)
def test_a_file_that_is_no_settings_file_is_named(folder: Any, text: str, said: str) -> None:
    """Broken YAML, a key twice, an empty file, a file of words."""
    folder.write("dev", text)
    found = mistakes_of(folder)
    assert any(said in sentence and "settings/dev.yaml" in sentence for sentence in found), found


@pytest.mark.parametrize(
    ("added", "said"),
    [
        ("reads: &it [prod, *it]\n", "an alias refers to what it stands in"),
        (
            "".join(f"x{n}: &x{n} [{', '.join([f'*x{n - 1}' if n else '1'] * 9)}]\n" for n in range(7)),
            "more than 10,000 values",
        ),
    ],
    ids=["an alias in itself", "aliases of aliases"],
)
def test_aliases_without_an_end_are_named(folder: Any, added: str, said: str) -> None:
    """The file is neither followed for ever nor written out; other files are still judged."""
    folder.write("dev", (folder.path / "dev.yaml").read_text(encoding="utf-8").replace("reads: [prod]\n", "") + added)
    folder.change("teams", ("teams", 0, "members"), "nobody")
    found = mistakes_of(folder)
    assert any(said in sentence and sentence.startswith("settings/dev.yaml:") for sentence in found), found
    assert any("'nobody'" in sentence for sentence in found)


def test_a_value_may_be_written_once_and_referred_to(folder: Any) -> None:
    """An anchor is YAML like any other."""
    text = (folder.path / "dev.yaml").read_text(encoding="utf-8")
    once = text.replace("small: {node", "small: &one {node").replace("medium: {", "medium: {<<: *one, ")
    folder.write("dev", once)
    assert "&one" in once
    assert load_settings(folder.path) == load_settings()


def test_a_folder_in_the_place_of_a_file_is_one_mistake_among_others(folder: Any) -> None:
    """Nothing is unexpected about it."""
    (folder.path / "prod.yaml").unlink()
    (folder.path / "prod.yaml").mkdir()
    folder.change("teams", ("teams", 0, "members"), "nobody")
    found = mistakes_of(folder)
    assert any(s.startswith("settings/prod.yaml: the file cannot be read") for s in found), found
    assert any("'nobody'" in s for s in found)


def test_a_wrong_entry_does_not_make_its_list_too_short(folder: Any) -> None:
    """One mistake is one sentence."""
    folder.change("dev", ("jobs", "notify"), ["nobody"])
    assert not any("at least 1 item" in sentence for sentence in mistakes_of(folder))


def test_the_state_of_the_account_may_be_where_only_released_code_deploys(folder: Any) -> None:
    """A company without a subscription for this puts it beside prod's."""
    folder.change("account", ("state",), {**STATE, "subscription_id": PROD})
    assert load_settings(folder.path).account.state is not None


def test_a_file_that_is_not_text_is_named(folder: Any) -> None:
    """Bytes that are no UTF-8."""
    (folder.path / "dev.yaml").write_bytes(b"\xff\xfe\x00")
    assert any("settings/dev.yaml: the file is not" in sentence for sentence in mistakes_of(folder))


def test_a_folder_that_does_not_exist_is_one_mistake(tmp_path: Path) -> None:
    """By its whole name, instead of each file that it lacks; the same for a file in its place."""
    (tmp_path / "file").touch()
    for name in ("nowhere", "file"):
        assert [str(one) for one in read(tmp_path / name).mistakes] == [
            f"{tmp_path / name}: there is no such folder of settings"
        ]


def test_a_missing_environment_is_named_and_a_misspelt_one_too(folder: Any) -> None:
    """A file under a wrong name is both: one that is missing and one that belongs to nothing."""
    (folder.path / "staging.yaml").rename(folder.path / "stagign.yaml")
    found = "\n".join(mistakes_of(folder))
    assert "settings/staging.yaml: the file is missing." in found
    assert "settings/stagign.yaml: no such environment. did you mean 'staging'?" in found


def test_a_use_case_that_no_team_lists_has_a_near_team_only_where_its_own_is_none(folder: Any) -> None:
    """A team that exists is not called near to itself."""
    folder.change("teams", ("teams", 0, "use_cases"), [])
    (said,) = [sentence for sentence in mistakes_of(folder) if "is listed nowhere" in sentence]
    assert "did you mean" not in said
    folder.change("teams", ("teams", 0, "name"), "operation")
    (said,) = [sentence for sentence in mistakes_of(folder) if "'flight_delay' is listed nowhere" in sentence]
    assert "There is no such team: did you mean 'operation'?" in said


def test_a_job_that_asks_for_an_unknown_size_is_named_in_every_environment(folder: Any) -> None:
    """The size stands in a declaration, what it means in three files of settings."""
    use_case = use_cases()[0]
    job = dataclasses.replace(use_case.jobs[0], size="hugee")  # type: ignore[arg-type]  # the fault that is looked for
    wrong = dataclasses.replace(use_case)
    vars(wrong)["jobs"] = (job, *use_case.jobs[1:])
    with pytest.raises(SettingsError) as caught:
        load_settings(folder.path, [wrong, *use_cases()[1:]])
    said = [str(mistake) for mistake in caught.value.mistakes]
    assert len(said) == len(ENVIRONMENTS)
    assert all(f"job {job.address} asks for the size 'hugee'. " in sentence for sentence in said)
    assert all("Allowed: large, medium, small" in sentence for sentence in said)


@limits(max_examples=50, deadline=None)
@given(st.dictionaries(st.sampled_from("abcd"), st.integers() | st.lists(st.integers(), max_size=3), min_size=1))
def test_every_value_has_the_line_on_which_it_stands(data: dict[str, Any]) -> None:
    """Whatever is written, the line of a key is where the key is."""
    text = yaml.safe_dump(data, default_flow_style=False)
    file = parse(text, "x.yaml")
    for key in data:
        assert text.splitlines()[(file.line((key,)) or 0) - 1].startswith(f"{key}:")


def test_the_schemas_for_editors_are_current() -> None:
    """`python -m infra schema` writes what is committed."""
    for path, text in schema_files().items():
        assert path.read_text(encoding="utf-8") == text, f"{path.name} is old: run `python -m infra schema`"


@pytest.mark.parametrize("file", ["account", "teams", *ENVIRONMENTS])
def test_every_settings_file_names_its_schema_and_fulfils_it(file: str) -> None:
    """The editor checks by the schema what the loader checks by the models."""
    text = (FOLDER / f"{file}.yaml").read_text(encoding="utf-8")
    kind = file if file in MODELS else "environment"
    assert text.startswith(f"# yaml-language-server: $schema=schema/{kind}.json\n")
    schema = json.loads((FOLDER / "schema" / f"{kind}.json").read_text(encoding="utf-8"))
    jsonschema_rs.validate(schema, yaml.safe_load(text))


@limits(max_examples=60, deadline=None)
@given(st.integers(min_value=16, max_value=24), st.integers(min_value=0, max_value=255))
def test_the_subnets_of_a_range_are_disjoint_and_within_it(prefix: int, second: int) -> None:
    """Whatever range an environment has, its three subnets share it without overlapping."""
    whole = ipaddress.IPv4Network((f"10.{second}.0.0", prefix))
    parts = [ipaddress.IPv4Network(part) for part in subnet_ranges(str(whole)).values()]
    assert all(part.subnet_of(whole) for part in parts)
    assert not any(a.overlaps(b) for a in parts for b in parts if a is not b)


def test_environments_that_share_a_zone_have_one_endpoint_of_sign_in(folder: Any) -> None:
    """Two would overwrite one another's record; whose it is, the settings say."""
    names = {
        "databricks": "privatelink.azuredatabricks.net", "dfs": "privatelink.dfs.core.windows.net",
        "blob": "privatelink.blob.core.windows.net", "vault": "privatelink.vaultcore.azure.net",
    }  # fmt: skip
    zones = {service: f"{HUB}privateDnsZones/{name}" for service, name in names.items()}
    for environment in ENVIRONMENTS:
        folder.change(environment, ("network", "private_dns_zones"), zones)
    folder.change("dev", ("network", "web_authentication"), False)
    (found,) = mistakes_of(folder)
    assert "prod.yaml" in found
    assert "must be false: staging has the endpoint of sign-in of the same region and private DNS zone" in found
    folder.change("prod", ("network", "web_authentication"), False)
    load_settings(folder.path)
