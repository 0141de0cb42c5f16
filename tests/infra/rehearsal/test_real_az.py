"""The real azure-cli signs identities in to the emulated Entra, and does there what this repository asks of it."""

import json
import os
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from infra.config.loading import Settings
from infra.devops.actual_identities import read_identities
from infra.devops.actual_state import ActualState
from infra.devops.desired_state import DesiredState, desired_state
from infra.devops.identity_steps import identity_steps
from infra.emulated_cloud.areas.entra.tokens import assertion
from infra.emulated_cloud.prepared import ANALYST, PERSON, new_cloud
from infra.emulated_cloud.server import served
from infra.emulated_cloud.world import Site
from infra.rehearsal.estate_site import site_of
from infra.rehearsal.real_az import OWN, VARIABLE, RealAz, SignInError, az_told, find_az
from infra.rehearsal.site import RehearsalSite, signed_out
from infra.releases.ledger import BlobLedger, LedgerError, run_az
from infra.rights.needed import rights_by_identity
from infra.synthesis.stack import Stack
from infra.terraform_cli.bootstrap import apply_steps, bootstrap_steps, run_command
from ml.spec.errors import RequestError
from tests.infra.rehearsal.test_sign_in import STATE, record

Become = Callable[[str], None]
ISSUER, SUBJECT = "https://vstoken.dev.azure.com/one", "sc://organisation/project/connection"
needs_az = [pytest.mark.proof, pytest.mark.skipif(find_az() is None, reason=az_told(None))]


def test_the_real_one_is_named_by_a_variable_or_installed_for_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever `az` a machine has on its path is left alone; a variable that names no program is a mistake."""
    own = tmp_path / "az"
    monkeypatch.delenv(VARIABLE, raising=False)
    assert find_az(own) is None
    own.write_text("#!/bin/sh\n", encoding="utf-8")
    own.chmod(0o700)
    assert find_az(own) == own
    monkeypatch.setenv(VARIABLE, str(tmp_path / "other"))
    with pytest.raises(RequestError, match="is no program"):
        find_az(own)
    assert "make .venv-az/.az" in az_told(None)
    assert str(own) in az_told(own)
    assert OWN.parent.parent.name == ".venv-az"


@pytest.fixture
def site(tmp_path: Path, settings: Settings) -> Iterator[RehearsalSite]:
    """An empty company whose `az` is the real one."""
    program = find_az()
    assert program is not None
    described = site_of(settings)
    cloud = new_cloud(described)
    with served(cloud, tmp_path / "cloud") as addresses:
        environment = signed_out(addresses, described, tmp_path, program)
        az = RealAz(program=program, world=cloud.world, folder=tmp_path / "az", environment=environment)
        yield RehearsalSite(
            cloud=cloud, addresses=addresses, folder=tmp_path, providers="", environment=environment, az=az
        )


@pytest.fixture
def become(site: RehearsalSite, monkeypatch: pytest.MonkeyPatch) -> Become:
    """Sign an identity in for what follows."""

    def sign_in(principal: str) -> None:
        for name, value in site.signed_in(principal).items():
            monkeypatch.setenv(name, value)

    return sign_in


def application(name: str) -> str:
    """Create an application with a service principal and a federated credential, and return its id."""
    made = json.loads(run_az(("ad", "app", "create", "--display-name", name)))
    run_az(("ad", "sp", "create", "--id", made["appId"]))
    body = {"name": "one", "issuer": ISSUER, "subject": SUBJECT, "audiences": ["api://AzureADTokenExchange"]}
    run_az(("ad", "app", "federated-credential", "create", "--id", made["appId"], "--parameters", json.dumps(body)))
    return str(made["appId"])


def refusal(*words: str) -> str:
    """Return what the real program says of a command that fails."""
    done = subprocess.run(["az", *words], text=True, capture_output=True, check=False)
    assert done.returncode != 0
    return done.stderr


class TestSignIn:
    """Who is signed in, with what."""

    pytestmark = needs_az

    def test_nobody_is_signed_in_by_the_machines_own_session(self, become: Become) -> None:
        """A step without a connection has a folder of its own, in which nobody has signed in."""
        become("")
        with pytest.raises(LedgerError, match="az login"):
            run_az(("account", "show"))

    def test_a_person_gets_tokens_for_each_service(self, become: Become, site: RehearsalSite) -> None:
        """As themselves, with every subscription in which they hold a role; a token is for its service alone."""
        become(PERSON.principal)
        assert json.loads(run_az(("account", "show", "--query", "user", "--output", "json"))) == {
            "name": PERSON.principal, "type": "user",
        }  # fmt: skip
        known = json.loads(run_az(("account", "list", "--output", "json")))
        assert {one["id"] for one in known} == {identity for _, identity in site.cloud.world.site.subscriptions}
        for resource, service in (
            ("https://management.azure.com/", "azure"), ("https://graph.microsoft.com/", "graph"),
            ("2ff814a6-3304-4ab8-85cb-cd0e6f879c1d", "account"),
        ):  # fmt: skip
            given = json.loads(run_az(("account", "get-access-token", "--resource", resource, "--output", "json")))
            assert self._reaches(site, given["accessToken"]) == service

    @staticmethod
    def _reaches(site: RehearsalSite, token: str) -> str:
        """Return the one service that accepts a token."""
        account = site.cloud.world.site.account
        paths = {
            "azure": "/subscriptions", "graph": "/v1.0/me", "account": f"/api/2.0/accounts/{account}/metastores",
        }  # fmt: skip
        accepted = [
            name for name, path in paths.items() if _status(f"{site.addresses.hosts[name]}{path}", token) == 200
        ]
        (one,) = accepted
        return one

    def test_an_application_signs_in_with_the_token_of_its_connection(
        self, become: Become, site: RehearsalSite
    ) -> None:
        """Without a role in Azure too; another subject, another issuer and a wrong secret are refused by Entra's codes."""
        become(PERSON.principal)
        principal = application("app-one")
        world, tenant = site.cloud.world, site.cloud.world.site.tenant
        become("")
        start = ("login", "--service-principal", "--username", principal, "--tenant", tenant)
        for words, code in (
            (("--federated-token", assertion(world, ISSUER, "sc://organisation/project/other")), "AADSTS700213"),
            (("--federated-token", assertion(world, "https://other.example", SUBJECT)), "AADSTS700211"),
            (("--password", "wrong"), "AADSTS7000215"),
        ):
            assert code in refusal(*start, *words)
        become(principal)
        shown = json.loads(run_az(("account", "show", "--query", "user", "--output", "json")))
        assert shown == {"name": principal, "type": "servicePrincipal"}

    def test_an_application_without_a_credential_or_a_service_principal_signs_in_nowhere(
        self, become: Become, site: RehearsalSite
    ) -> None:
        """The second is what the set-up of 2026-11-27 made."""
        become(PERSON.principal)
        made = json.loads(run_az(("ad", "app", "create", "--display-name", "app-alone")))
        with pytest.raises(SignInError, match="no federated credential"):
            become(made["appId"])
        tenant = site.cloud.world.site.tenant
        words = ("login", "--service-principal", "--username", made["appId"], "--tenant", tenant, "--password", "any")
        become("")
        assert "AADSTS7000229" in refusal(*words)


class TestCommands:
    """The commands of bootstrap, ledger, pre-flight and set-up."""

    pytestmark = needs_az

    def test_the_set_up_of_the_identities_leaves_nothing_to_do(
        self, become: Become, settings: Settings, estate: dict[str, Stack]
    ) -> None:
        """The steps of `infra devops --apply` for the account's identity, carried out by the real program."""
        become(PERSON.principal)
        desired = desired_state(settings, rights_by_identity(estate.values()))
        while possible := _possible(desired):
            for words in possible:
                run_az(words)
        identities = read_identities(desired, run_az)
        (account,) = (one for one in desired.stages if one.account_admin)
        assert account.application in identities.principals
        assert len(identities.graph_roles[account.application]) == len(account.graph_roles)

    def test_a_role_is_given_listed_and_taken_away(self, become: Become, site: RehearsalSite) -> None:
        """By the id that the list shows, as the set-up takes away a role that gives too much."""
        become(PERSON.principal)
        given = ("--assignee", application("app-one"), "--role", "Reader")
        scope = ("--scope", f"/subscriptions/{site.cloud.world.site.subscriptions[0][1]}")
        run_az(("role", "assignment", "create", *given, *scope))
        assert len(json.loads(run_az(("role", "assignment", "list", *given, *scope)))) == 1
        run_az(("role", "assignment", "delete", *given, *scope))
        assert json.loads(run_az(("role", "assignment", "list", *given, *scope))) == []

    def test_the_earlier_set_up_stops_at_an_application_without_a_service_principal(
        self, become: Become, site: RehearsalSite
    ) -> None:
        """The words of the commands of 2026-11-27: nothing holds a role that is an application alone."""
        become(PERSON.principal)
        made = json.loads(run_az(("ad", "app", "create", "--display-name", "app-mrd-account")))
        scope = f"/subscriptions/{site.cloud.world.site.subscriptions[0][1]}"
        for verb, more in (("list", ()), ("create", ("--role", "Storage Blob Data Contributor"))):
            with pytest.raises(LedgerError, match="Cannot find user or service principal in graph database"):
                run_az(("role", "assignment", verb, "--assignee", made["appId"], "--scope", scope, *more))

    def test_the_bootstrap_creates_the_storage_of_a_state_once(self, become: Become) -> None:
        """A second run finds what exists."""
        become(PERSON.principal)
        assert all(line.startswith("done") for line in bootstrapped())
        assert [line for line in bootstrapped() if line.startswith("exists")] == [
            "exists: resource group rg-mrd-dev-state", "exists: storage account stmrddevstate, without shared keys",
        ]  # fmt: skip

    def test_the_ledger_is_a_blob_that_nobody_overwrites(self, become: Become, tmp_path: Path) -> None:
        """Records are appended by the version that was read; who has no role on the data is refused."""
        become(PERSON.principal)
        bootstrapped()
        ledger = BlobLedger(state=STATE, environment="dev")
        assert ledger.read() == ()
        ledger.append(record())
        ledger.append(record())
        assert len(ledger.read()) == 2
        (tmp_path / "old").write_text("{}", encoding="utf-8")
        with pytest.raises(LedgerError):
            run_az(ledger._blob("upload", "--file", str(tmp_path / "old"), "--if-match", "0xOLD"))
        assert len(ledger.read()) == 2
        become(ANALYST.principal)
        with pytest.raises(LedgerError):
            ledger.read()

    def test_the_pre_flight_reads_roles_providers_and_the_account(self, become: Become) -> None:
        """Roles by name at the subscription, what is registered, and a request to the account as who is signed in."""
        become(PERSON.principal)
        subscription = STATE.subscription_id
        asked = ("role", "assignment", "list", "--assignee", PERSON.principal, "--include-inherited", "--scope")
        held = json.loads(run_az((*asked, f"/subscriptions/{subscription}")))
        assert [one["roleDefinitionName"] for one in held] == ["Owner"]
        registered = json.loads(run_az(("provider", "list", "--subscription", subscription)))
        assert "Microsoft.Databricks" in {one["namespace"] for one in registered}
        url = f"https://accounts.azuredatabricks.net/api/2.0/accounts/{Site().account}/metastores"
        words = ("rest", "--method", "get", "--url", url, "--resource", "2ff814a6-3304-4ab8-85cb-cd0e6f879c1d")
        assert "metastores" in json.loads(run_az(words))


def bootstrapped() -> list[str]:
    """Create the storage of a state and return what was said."""
    said: list[str] = []
    steps = bootstrap_steps(STATE, region="westeurope", principal=PERSON.object_id)
    assert apply_steps(steps, run_command, said.append), said
    return said


def _possible(desired: DesiredState) -> list[Sequence[str]]:
    """Return what the set-up can do now for the identities."""
    actual = ActualState(identities=read_identities(desired, run_az))
    return [step.command for step in identity_steps(actual, desired) if step.command and not step.waits_for]


def _status(address: str, token: str) -> int:
    words = ["curl", "--silent", "--noproxy", "*", "--output", "/dev/null", "--write-out", "%{http_code}"]
    done = subprocess.run(
        [*words, "--header", f"Authorization: Bearer {token}", address], text=True, capture_output=True, check=True,
        env=dict(os.environ),
    )  # fmt: skip
    return int(done.stdout)
