"""Before the first apply one command names everything that is missing, for the person and the pipelines; it writes nothing."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest

from infra.__main__ import main
from infra.commands import ready
from infra.commands.devops import set_up
from infra.commands.ready import answers, report
from infra.config.loading import Settings
from infra.config.model import StateStorage
from infra.devops.desired_state import desired_state
from infra.ready import held
from infra.ready.held import Machine, Present, Quota, way_to
from infra.ready.readiness import Readiness, readiness
from infra.ready.wanted import NAMESPACES, Wanted, wanted
from infra.releases.ledger import LedgerError
from infra.rights.needed import rights_by_identity
from infra.synthesis.stack import Stack
from tests.infra.devops.devops_organisation import Organisation
from tests.infra.ready.subscription import READING, Subscription


@pytest.fixture
def needs(settings: Settings, estate: Mapping[str, Stack]) -> Wanted:
    """What staging needs."""
    return wanted(settings, "staging", estate.values())


@pytest.fixture
def subscription(
    settings: Settings, estate: Mapping[str, Stack], needs: Wanted, monkeypatch: pytest.MonkeyPatch
) -> Subscription:
    """A subscription that has everything, with pipelines that are set up."""
    desired = desired_state(settings, rights_by_identity(estate.values()))
    organisation = Organisation(desired)
    assert set_up(desired, organisation) == 0
    organisation.written.clear()
    monkeypatch.setattr(ready, "way_to", lambda _host: "")
    return Subscription(needs, organisation)


def test_nothing_is_missing_where_everything_is_there(settings: Settings, subscription: Subscription) -> None:
    """Exit code 0; every question only reads."""
    found = answers(settings, "staging", subscription)
    assert {one.standing for one in found} == {Readiness.READY}, [o for o in found if o.standing is not Readiness.READY]
    assert report(found) == 0
    assert subscription.organisation.written == []
    for words in subscription.asked:
        assert {*words} & {*READING} or ("rest" in words and words[words.index("--method") + 1] == "get"), words


def _other_tenant(sub: Subscription) -> None:
    sub.tenant = "another"


def _reader(sub: Subscription) -> None:
    sub.roles = ["Contributor"]


def _unregistered(sub: Subscription) -> None:
    sub.namespaces.remove("Microsoft.KeyVault")


def _foreign_lake(sub: Subscription) -> None:
    del sub.resources[sub.wanted.approving[0]]
    sub.foreign_names = {sub.wanted.approving[0]}


def _foreign_workspace_storage(sub: Subscription) -> None:
    del sub.resources[sub.wanted.approving[1]]
    sub.foreign_names = {sub.wanted.approving[1]}


def _restricted(sub: Subscription) -> None:
    sub.machines = {
        name: [{"type": "Location", "reasonCode": "NotAvailableForSubscription"}] for name in sub.machines
    }  # fmt: skip


def _not_offered(sub: Subscription) -> None:
    sub.machines = {}


def _small_quota(sub: Subscription) -> None:
    sub.limit = 20


def _waiting_endpoint(sub: Subscription) -> None:
    sub.connections["from-prod"] = "Pending"


def _no_connection(sub: Subscription) -> None:
    sub.organisation.stored["serviceendpoint/endpoints"] = []


LACKS: Mapping[str, tuple[Callable[[Subscription], None], str, str]] = {
    "another tenant": (_other_tenant, "is signed in to another", "az login --tenant"),
    "a role too few": (_reader, "Contributor", "have an Owner of the subscription give Owner, or Contributor and User"),
    "a resource provider": (_unregistered, "not registered", "az provider register --namespace Microsoft.KeyVault"),
    "a name that is taken": (_foreign_lake, "somebody else has it", "choose another organisation in account.yaml"),
    "the name of the workspace's own storage": (_foreign_workspace_storage, "somebody else has it", "choose another organisation"),
    "a restricted machine": (_restricted, "restricted: NotAvailableForSubscription", "name another node_type"),
    "a machine that is not offered": (_not_offered, "not offered in this region", "name another node_type in staging.yaml"),
    "a quota": (_small_quota, "10 of 20 are free", "request a higher quota"),
    "an approval": (_waiting_endpoint, "from-prod waits", "az network private-endpoint-connection approve --id"),
    "a service connection": (_no_connection, "", "python -m infra devops --apply"),
}  # fmt: skip


@pytest.mark.parametrize("name", LACKS)
def test_what_is_missing_is_named_with_what_was_found_and_the_remedy(
    name: str, settings: Settings, subscription: Subscription, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each lack alone: exit code 1, and it stands before everything that is there."""
    take_away, found, remedy = LACKS[name]
    take_away(subscription)
    assert report(answers(settings, "staging", subscription)) == 1
    said = capsys.readouterr().out.splitlines()
    first = [line for line in said if line.startswith("missing")]
    assert said[0] == first[0]
    assert any(found in line for line in first), first
    assert any(line.startswith(f"         {remedy}") for line in said), said


STATE = StateStorage(
    subscription_id="11111111-0000-4000-8000-000000000001", resource_group="rg-state", storage_account="stmrdstate",
    container="terraform", allowed_ip_ranges=("203.0.113.0/24",),
)  # fmt: skip


@pytest.mark.parametrize(
    ("taken", "standing", "found"),
    [(set(), Readiness.READY, "free"), ({"stmrdstate"}, Readiness.MISSING, "somebody else has it")],
)
def test_the_name_of_the_state_is_asked_for_before_it_is_created(
    taken: set[str], standing: Readiness, found: str, settings: Settings, subscription: Subscription
) -> None:
    """In all of Azure, as that of every storage account; the remedy is another name in the settings."""
    subscription.foreign_names = taken
    (one,) = [
        one
        for one in answers(with_state(settings), "staging", subscription)
        if one.need.startswith("the name stmrdstate")
    ]
    assert (one.standing, one.found.partition(",")[0]) == (standing, found)
    assert ("another state.storage_account in staging.yaml" in one.remedy) is bool(taken)


@pytest.mark.parametrize(
    ("roles", "standing"),
    [(["Directory Readers"], Readiness.MISSING), (["Privileged Role Administrator"], Readiness.READY)],
)
def test_who_has_roles_of_graph_to_give_needs_a_role_in_entra(
    roles: list[str], standing: Readiness, settings: Settings, subscription: Subscription
) -> None:
    """A group of that name is none; once everything is given, nobody is asked for it."""
    subscription.directory_roles = roles
    assert not [one for one in answers(settings, "staging", subscription) if "in Entra" in one.need]
    subscription.organisation.graph_roles.clear()
    (one,) = [one for one in answers(settings, "staging", subscription) if "in Entra" in one.need]
    assert (one.standing, one.found) == (standing, roles[0])
    assert bool(one.remedy) is (standing is Readiness.MISSING)


def test_a_state_that_exists_is_ours_and_has_to_be_reached(
    settings: Settings, subscription: Subscription, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In its group, which may be of another subscription; who does not reach it can plan nothing."""
    subscription.others["stmrdstate"] = "rg-state"
    monkeypatch.setattr(ready, "way_to", lambda host: "no connection" if host.startswith("stmrdstate.") else "")
    found = {one.need: one for one in answers(with_state(settings), "staging", subscription)}
    assert found["the name stmrdstate of a storage account"].found == "ours"
    way = found["a way from this machine to stmrdstate.blob.core.windows.net"]
    assert (way.standing, "state.allowed_ip_ranges of staging.yaml" in way.remedy) == (Readiness.MISSING, True)


def with_state(settings: Settings) -> Settings:
    """The settings with a place of staging's state in a subscription of its own."""
    staging = settings.environments["staging"].model_copy(update={"state": STATE})
    return replace(settings, environments={**settings.environments, "staging": staging})


def test_an_existing_metastore_is_found_before_a_second_one_is_refused(
    settings: Settings, subscription: Subscription
) -> None:
    """The settings create one: then it is said; the settings name one: then it must be there."""
    need = f"the one metastore of {settings.account.metastore.region}, and an account admin to ask for it"
    theirs = {"metastore_id": "11111111-1111-4111-8111-111111111111", "name": "metastore_azure_westeurope"}
    subscription.metastores = [
        {**theirs, "region": settings.account.metastore.region},
        {**theirs, "region": "elsewhere"},
    ]

    def standing(stated: Settings) -> Readiness:
        (one,) = (one for one in answers(stated, "staging", subscription) if one.need == need)
        return one.standing

    def naming(identifier: str) -> Settings:
        metastore = settings.account.metastore.model_copy(update={"administrators": None, "id": identifier})
        return replace(settings, account=settings.account.model_copy(update={"metastore": metastore}))

    assert standing(settings) is Readiness.UNKNOWN
    assert standing(naming(theirs["metastore_id"])) is Readiness.READY
    assert standing(naming("22222222-2222-4222-8222-222222222222")) is Readiness.MISSING


@pytest.mark.parametrize(
    "question",
    ["role assignment", "provider list", "resource list", "storage account", "vm list-skus", "vm list-usage",
     "network private-endpoint-connection", "resource show", "metastores"],
)  # fmt: skip
def test_a_question_that_is_refused_is_unknown_and_stops_no_other(
    question: str, settings: Settings, subscription: Subscription
) -> None:
    """Exit code 3: nothing is known to be missing."""
    subscription.fails = {question}
    if question == "storage account":
        del subscription.resources[subscription.wanted.approving[0]]  # what is ours is not asked for
    found = answers(settings, "staging", subscription)
    assert any(one.standing is Readiness.UNKNOWN and "no authorization" in one.found for one in found)
    assert len(found) > 15
    assert report(found) == 3


def test_without_a_session_nothing_is_said(settings: Settings, subscription: Subscription) -> None:
    """One sentence, exit code 2, as for every command that asks Azure."""
    subscription.fails = {"account show"}
    with pytest.raises(LedgerError, match="failed"):
        answers(settings, "staging", subscription)


def test_before_the_platform_exists_the_way_to_it_is_unknown(settings: Settings, subscription: Subscription) -> None:
    """And its names are free."""
    subscription.resources = {}
    found = {one.need: one for one in answers(settings, "staging", subscription)}
    assert found["a way from this machine to the workspace and the vault"].standing is Readiness.UNKNOWN
    names = [one.found for need, one in found.items() if need.startswith("the name ")]
    assert names
    assert set(names) == {"free"}


def test_a_host_that_is_not_reached_is_missing(
    settings: Settings, subscription: Subscription, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With what is wrong: its name, or the connection."""
    monkeypatch.setattr(ready, "way_to", way_to)
    monkeypatch.setattr(held, "SECONDS", 0.5)
    subscription.resources[subscription.wanted.workspace] = {"workspaceUrl": "adb-1.invalid"}
    found = [one for one in answers(settings, "staging", subscription) if one.need.startswith("a way ")]
    assert [one.standing for one in found] == [Readiness.MISSING, Readiness.MISSING]
    assert "its name is not resolved" in found[0].found
    assert "no connection" in found[1].found


def test_every_type_of_azure_resource_has_its_resource_provider(estate_with_telemetry: Mapping[str, Stack]) -> None:
    """What no other beginning fits is of the network; and every entry is used."""
    network = ("network", "subnet", "nat_gateway", "private_", "public_ip", "virtual_", "route", "firewall")
    stacks = estate_with_telemetry.values()
    types = {r.type for stack in stacks for r in stack.resources.values() if r.type.startswith("azurerm_")}
    rest = {type_ for type_ in types if not any(type_.startswith(b) for b in list(NAMESPACES)[:-1])}
    assert all(type_.removeprefix("azurerm_").startswith(network) for type_ in rest), rest
    assert all(any(type_.startswith(beginning) for type_ in types) for beginning in NAMESPACES)


def test_machines_are_counted_at_their_most(settings: Settings, estate: Mapping[str, Stack]) -> None:
    """A pool at its capacity; the workers of a cluster and its driver."""
    stated = settings.environments["staging"].compute
    found = wanted(settings, "staging", estate.values()).machines
    assert found[stated.pool.node_type] >= stated.pool.capacity_maximum
    assert all(found[size.node_type] > size.workers_maximum for size in stated.sizes.values())


@pytest.mark.parametrize(
    ("month", "deployed", "standing"),
    [
        ("2026-11", False, Readiness.READY), ("2026-10", False, Readiness.READY), ("2025-11", False, Readiness.READY),
        ("2026-12", False, Readiness.MISSING), ("2025-10", False, Readiness.MISSING), ("2027-03", True, Readiness.READY),
    ],
)  # fmt: skip
def test_a_budget_begins_now_or_within_a_year_where_it_does_not_exist_yet(
    needs: Wanted, month: str, *, deployed: bool, standing: Readiness
) -> None:
    """Azure refuses another one in the middle of the first deployment; one that is there is left as it is."""
    november = replace(needs, first_month="2026-11")
    held_now = Present(month=month, taken={needs.vault: True} if deployed else {})
    (answer,) = [one for one in readiness(november, held_now, ()) if one.need == "a budget that begins in 2026-11"]
    assert answer.standing is standing
    if standing is Readiness.MISSING:
        assert answer.remedy == f"state budget.first_month: {month} in staging.yaml"


def test_types_of_one_family_need_its_cores_together(needs: Wanted) -> None:
    """Each alone has enough; both at once have not."""
    two = replace(needs, machines={"Standard_D4ds_v5": 10, "Standard_D8ds_v5": 5})
    machine = {name: Machine(family="standardDDSv5Family", cores=cores, restriction="") for name, cores in (("Standard_D4ds_v5", 4), ("Standard_D8ds_v5", 8))}  # fmt: skip
    quotas = {"standardddsv5family": Quota(used=0, limit=79), "cores": Quota(used=0, limit=80)}
    found = {
        one.need: one.standing for one in readiness(two, Present(machines=machine, quotas=quotas, month="2026-11"), ())
    }
    assert found[f"80 cores of standardDDSv5Family in {needs.region}"] is Readiness.MISSING
    assert found[f"80 cores of all families in {needs.region}"] is Readiness.READY
    assert found[f"10 machines Standard_D4ds_v5 in {needs.region}"] is Readiness.READY


def test_an_unknown_environment_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """With the near miss."""
    assert main(["ready", "stagin"]) == 2
    assert "staging" in capsys.readouterr().err
