"""The rehearsal's `az` does what the bootstrap and the ledger ask of the real one, against the emulated cloud."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.config.model import StateStorage
from infra.emulated_cloud.prepared import ANALYST, PERSON, new_cloud, principal_of
from infra.emulated_cloud.server import served
from infra.emulated_cloud.world import Site
from infra.rehearsal import sign_in
from infra.rehearsal.company import RANGE
from infra.rehearsal.site import signed_out
from infra.releases.ledger import BlobLedger, LedgerError, run_az
from infra.releases.record import RecordKind, ReleaseOutcome, ReleaseRecord
from infra.releases.target import utc_now
from infra.terraform_cli.bootstrap import apply_steps, bootstrap_steps, run_command

STATE = StateStorage(
    subscription_id="5a0b1c2d-3e4f-4a5b-8c6d-7e8f90a1b2c3", resource_group="rg-mrd-dev-state", storage_account="stmrddevstate",
    container="terraform", allowed_ip_ranges=(RANGE,),
)  # fmt: skip


@pytest.fixture
def variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """The person is signed in, on a machine from which every host name leads to the emulated cloud."""
    site = Site()
    with served(new_cloud(site), tmp_path / "cloud") as addresses:
        found = {**signed_out(addresses, site, tmp_path), sign_in.IDENTITY: PERSON.principal}
        for name, value in found.items():
            monkeypatch.setenv(name, value)
        yield found


def bootstrapped() -> list[str]:
    """Create the storage of a state and return what was said."""
    said: list[str] = []
    assert apply_steps(
        bootstrap_steps(STATE, region="westeurope", principal=PERSON.object_id), run_command, said.append
    ), said
    return said


def record() -> ReleaseRecord:
    """Return a record."""
    return ReleaseRecord(
        at=utc_now().isoformat(), kind=RecordKind.RELEASE, environment="dev", commit="0" * 40, wheel=None, wheel_sha256=None,
        plan_sha256="0" * 64, outcome=ReleaseOutcome.STARTED,
    )  # fmt: skip


@pytest.mark.usefixtures("variables")
def test_a_person_is_known_to_the_directory_by_an_id() -> None:
    """As the first page lets a person put it into a command: the bare id, or everything."""
    asked = ("ad", "signed-in-user", "show")
    assert run_az((*asked, "--query", "id", "--output", "tsv")).strip() == PERSON.object_id
    assert json.loads(run_az(asked))["userPrincipalName"] == PERSON.principal


@pytest.mark.usefixtures("variables")
def test_the_bootstrap_creates_the_storage_of_a_state_once() -> None:
    """A second run finds what exists."""
    assert all(line.startswith("done") for line in bootstrapped())
    assert [line for line in bootstrapped() if line.startswith("exists")] == [
        "exists: resource group rg-mrd-dev-state", "exists: storage account stmrddevstate, without shared keys",
    ]  # fmt: skip


@pytest.mark.proof
@pytest.mark.terraform
def test_terraform_keeps_its_state_in_the_emulated_storage_and_locks_it(
    variables: dict[str, str], tmp_path: Path
) -> None:
    """The real backend of Terraform, signed in by the rehearsal's `az`; without a role on the data it is refused."""
    bootstrapped()
    folder = tmp_path / "stack"
    folder.mkdir()
    backend = {
        "resource_group_name": STATE.resource_group, "storage_account_name": STATE.storage_account,
        "subscription_id": STATE.subscription_id, "container_name": STATE.container, "key": "dev.tfstate", "use_azuread_auth": True,
    }  # fmt: skip
    content = {
        "terraform": {"backend": {"azurerm": backend}},
        "resource": {"terraform_data": {"one": {"input": "kept"}}},
    }
    (folder / "main.tf.json").write_text(json.dumps(content), encoding="utf-8")

    def run(*words: str, who: str = PERSON.principal) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, **variables, sign_in.IDENTITY: who}
        return subprocess.run(
            ["terraform", *words, "-no-color"], cwd=folder, env=environment, text=True, capture_output=True, check=False
        )

    assert run("init", "-input=false").returncode == 0, run("init", "-input=false").stderr
    assert run("apply", "-auto-approve", "-input=false").returncode == 0
    assert "terraform_data.one" in run("state", "list").stdout
    assert run("plan", "-input=false", "-detailed-exitcode").returncode == 0
    assert "403" in run("plan", "-input=false", who=ANALYST.principal).stderr


def test_the_ledger_is_a_blob_that_nobody_overwrites(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]
) -> None:
    """Records are appended by the version that was read; who has no role on the data is refused."""
    bootstrapped()
    ledger = BlobLedger(state=STATE, environment="dev")
    assert ledger.read() == ()
    ledger.append(record())
    ledger.append(record())
    assert len(ledger.read()) == 2
    where = ledger._blob("upload", "--file", variables[sign_in.TOKENS], "--if-match", "0xOLD")
    with pytest.raises(LedgerError, match="ConditionNotMet"):
        run_az(where)
    monkeypatch.setenv(sign_in.IDENTITY, ANALYST.principal)
    with pytest.raises(LedgerError, match="403"):
        ledger.read()


@pytest.mark.usefixtures("variables")
def test_who_is_signed_in_is_told_and_nobody_is_not_signed_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """A person is a user, everybody else a service principal; a command that it does not know is refused."""
    assert json.loads(run_az(["account", "show", "--query", "user", "--output", "json"])) == {
        "name": PERSON.principal, "type": "user",
    }  # fmt: skip
    with pytest.raises(LedgerError, match="knows no"):
        run_az(["vm", "list"])
    monkeypatch.setenv(sign_in.IDENTITY, "")
    with pytest.raises(LedgerError, match="az login"):
        run_az(["account", "show"])


@pytest.mark.usefixtures("variables")
def test_the_pre_flight_reads_roles_providers_and_the_account() -> None:
    """Roles by name at the subscription, what is registered, and a request to the account as who is signed in."""
    subscription = f"/subscriptions/{STATE.subscription_id}"
    held = json.loads(
        run_az(
            (
                "role",
                "assignment",
                "list",
                "--assignee",
                PERSON.principal,
                "--include-inherited",
                "--scope",
                subscription,
            )
        )
    )
    assert [one["roleDefinitionName"] for one in held] == ["Owner"]
    registered = json.loads(run_az(("provider", "list", "--subscription", STATE.subscription_id)))
    assert "Microsoft.Databricks" in {one["namespace"] for one in registered}
    url = f"https://accounts.azuredatabricks.net/api/2.0/accounts/{Site().account}/metastores"
    assert json.loads(run_az(("rest", "--method", "get", "--url", url, "--resource", "any")))["metastores"]


def test_the_subscriptions_of_who_is_signed_in_are_listed(
    variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those in which it holds a role: the person owns all, dev's identity contributes to one, an analyst sees none."""
    assert variables

    def seen(who: str) -> list[str]:
        monkeypatch.setenv(sign_in.IDENTITY, who)
        return [one["id"] for one in json.loads(run_az(["account", "list", "--output", "json"]))]

    assert seen(PERSON.principal) == [identity for _, identity in Site().subscriptions]
    assert seen(principal_of("dev", 1).principal) == [STATE.subscription_id]
    assert seen(ANALYST.principal) == []


@pytest.mark.usefixtures("variables")
def test_a_service_that_is_not_emulated_is_a_failure_in_one_line() -> None:
    """Azure DevOps, for one: nobody takes silence for an answer."""
    with pytest.raises(LedgerError, match=r"The emulator stands for no host dev\.azure\.com"):
        run_az(("rest", "--method", "get", "--url", "https://dev.azure.com/a/_apis/projects"))
