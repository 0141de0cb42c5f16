"""A deployed copy of the previous release takes this one by the documented lines, and loses nothing.

The previous release deploys itself: its own code synthesizes its stacks and applies them with the real Terraform, by the
identities of the guide. The cloud around both is the emulated one of today, and so are the roles of the identities. A service
has one set of rules at a time, and what the previous release has created must be there when this one plans. If today's cloud
refuses the previous stacks, a service would refuse them as well; then that release cannot be deployed any more, and its section
of the changes has to say so.

Two and a half minutes of processor time, most of it for the syntheses and the two deployments of one environment.
"""

import json
import os
import re
import shlex
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable

from infra.build.release import current_release
from infra.config.loading import Settings, read
from infra.config.stack_names import ACCOUNT
from infra.loader.mirror import loader_mirror
from infra.loader.mirrored import mirrored
from infra.rehearsal.bootstrap import RehearsalError
from infra.rehearsal.by_hand import ByHand
from infra.rehearsal.company import commit, found_company, lend_packages
from infra.rehearsal.estate_site import site_of
from infra.rehearsal.rehearsal import Rehearsal
from infra.rehearsal.site import rehearsal_site
from infra.releases.data_loss import LOST_WITH_DATA, data_losses
from infra.rights.needed import rights_by_identity
from infra.stacks.estate import stacks
from infra.terraform_cli.changes import changes
from infra.terraform_cli.synthesized import read_stacks
from pipelines.declarations.registry import use_cases
from tests.infra.releases.copies import PAGE, ROOT, git, previous_release, python

pytestmark = [pytest.mark.proof, pytest.mark.terraform, pytest.mark.xdist_group("rehearsal")]
STACKS = {"account": ACCOUNT, "dev-platform": "dev", "dev-account": ACCOUNT, "dev-workspace": "dev"}
"""The stacks of an account with dev alone in their order, each with the identity that applies it."""
SETTINGS = "infra/settings/dev.yaml"
OWN = {"monthly: 4000": "monthly: 5200", "reads: [prod]": "reads: []", "idle_minutes: 15": "idle_minutes: 25"}
"""What the company has changed in dev's settings."""
PRICES = "infra/settings/prices/prices.yaml"
NO_PRICES = "prices: []"
OWN_PRICE = 'prices:\n  - {key: storage, price: 90, per: month, source: "https://prices.example/s", date: 2026-11-28}'
USE_CASE = "late_departures"
LIVES = ("pipelines", "run", "air_time.features", "--env", "dev", "--param")

Plan = Mapping[str, Any]


def rows(tree: Path) -> dict[str, int]:
    """Return the rows of each table of the copy's environment on this machine."""
    logs = (tree / "lakehouse" / "dev" / "tables").glob("*/*/_delta_log")
    counted = {log.parent: DeltaTable(str(log.parent)).to_pyarrow_dataset().count_rows() for log in logs}
    return {f"{table.parent.name}.{table.name}": number for table, number in counted.items()}


class Company(Rehearsal):
    """The company; its settings name a use case of its own, which this process does not declare."""

    @property
    def settings(self) -> Settings:
        """The settings as they are now, held to their schemas alone; the copy's own commands check the rest."""
        return settings_of(self.tree)


def settings_of(tree: Path) -> Settings:
    """Return the settings of a copy."""
    reading = read(tree / "infra" / "settings")
    assert reading.settings is not None, reading.mistakes
    return reading.settings


@dataclass(kw_only=True)
class Copy:
    """A company's deployed copy, and what happened to it.

    Parameters
    ----------
    written
        The commit of its own, before the merge.
    review
        What the review of the merge says.
    plans
        The plan of each stack by which this release was applied.
    before, after
        Rows of its tables before the merge, and after this release has gone on.
    """

    company: Rehearsal
    written: str
    review: str = ""
    plans: dict[str, Plan] = field(default_factory=dict)
    before: dict[str, int] = field(default_factory=dict)
    after: dict[str, int] = field(default_factory=dict)

    @property
    def tree(self) -> Path:
        """Its folder."""
        return self.company.tree

    def infra(self, identity: str, *words: str) -> str:
        """Run a command of the copy as an identity, and return what it printed."""
        return self.company.run(identity, [sys.executable, "-m", "infra", *words])

    def plan(self, stack: str, name: str) -> Plan:
        """Save a plan as the pipelines do, and return it; the product's own check refuses one that loses data."""
        folder = Path("build", name, stack)
        self.infra(STACKS[stack], "plan", STACKS[stack], "--only", stack, "--keep", str(folder))
        return dict(json.loads((self.tree / folder / f"{stack}.json").read_text(encoding="utf-8")))

    def apply(self, stack: str, name: str) -> None:
        """Apply a saved plan by its hash."""
        folder = Path("build", name, stack)
        said = self.infra(STACKS[stack], "kept", str(folder))
        (sha256,) = re.findall(r"\b[0-9a-f]{64}\b", said)[:1]
        self.infra(STACKS[stack], "apply", STACKS[stack], "--plan", str(folder), "--sha256", sha256)


def synthesize(tree: Path) -> None:
    """Build the wheel and the stacks with the copy's own code."""
    for command in ("wheel", "synth"):
        python(tree, "infra", command)


def forget_providers(tree: Path) -> None:
    """Let Terraform install the providers again: one version of a real provider has every type, the loader those that stacks use."""
    for folder in (tree / "cdktf.out" / "stacks").iterdir():
        shutil.rmtree(folder / ".terraform", ignore_errors=True)
        (folder / ".terraform.lock.hcl").unlink(missing_ok=True)


def _found(folder: Path, release: str) -> Path:
    """Return a company's repository of a release, with states in Azure, settings and a use case of its own."""
    source = folder / "source"
    git(folder, "clone", "-q", str(ROOT), str(source))
    git(source, "checkout", "-q", release)
    lend_packages(ROOT, source)
    tree = found_company(source, folder, (ACCOUNT, "dev"))
    file = tree / SETTINGS
    text = file.read_text(encoding="utf-8")
    for shipped, own in OWN.items():
        assert shipped in text
        text = text.replace(shipped, own)
    file.write_text(text, encoding="utf-8")
    prices = tree / PRICES
    prices.write_text(prices.read_text(encoding="utf-8").replace(NO_PRICES, OWN_PRICE), encoding="utf-8")
    python(tree, "pipelines", "new", USE_CASE, "--team", "revenue")
    commit(tree, "Our settings and our use case")
    return tree


def _documented_lines(product: Path) -> Sequence[list[str]]:
    """Return the lines of the page for a repository of the product that has tagged this commit as the version that they name."""
    lines = PAGE.read_text(encoding="utf-8").split("```bash\n")[1].split("```")[0].splitlines()
    (version,) = re.findall(r"git merge product/(v\S+)", "\n".join(lines))
    git(product.parent, "clone", "-q", "--no-tags", str(ROOT), str(product))
    git(product, "tag", "--annotate", "--message", version, version)
    return [shlex.split(line.replace("ADDRESS", str(product))) for line in lines]


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Copy]:
    """A deployed copy of the previous release that has merged this one, planned it and applied it."""
    folder, release = tmp_path_factory.mktemp("copy"), previous_release()
    if release is None:
        pytest.skip("no earlier release is known: this clone is shallow")
    tree = _found(folder, release)
    settings = settings_of(tree)
    rights = rights_by_identity(stacks(settings, use_cases(), current_release()))
    synthesize(tree)
    synthesized = {name: stack for name, stack in read_stacks(tree / "cdktf.out").items() if name in STACKS}
    with rehearsal_site(synthesized, folder / "site", site_of(settings)) as site:
        company = Company(site=site, tree=tree, rights=rights, environments=("dev",), say=print)
        found = Copy(company=company, written=git(tree, "rev-parse", "HEAD").strip())
        hand = ByHand(rehearsal=company, cdktf=None)
        company.bootstrap()
        hand.deploy(ACCOUNT, ACCOUNT)
        company.give_rights()
        hand.deploy_environment("dev")
        python(tree, *LIVES, "until=2013-01-10")
        found.before = rows(tree)
        git(tree, "checkout", "-q", "-b", "take")
        for program, *words in _documented_lines(folder / "product"):
            if program == "git":
                git(tree, *words)
            elif words[-1] == "review":
                found.review = company.run("", [sys.executable, *words])
        synthesize(tree)
        forget_providers(tree)
        these = [stack for name, stack in read_stacks(tree / "cdktf.out").items() if name in STACKS]
        at_hand = mirrored(os.environ.get("TF_CLI_CONFIG_FILE", ""))
        of_both = [*synthesized.values(), *these]  # the states still have what this release creates no more
        with loader_mirror(of_both, folder / "providers", at_hand) as providers:
            company.site = replace(
                site, environment={**site.environment, "TF_CLI_CONFIG_FILE": str(providers.configuration)}
            )
            for stack in STACKS:
                found.plans[stack] = found.plan(stack, "taken")
                found.apply(stack, "taken")
            python(tree, *LIVES, "until=2013-01-15")
            found.after = rows(tree)
            yield found


def test_the_merge_changes_no_file_of_the_company(copy: Copy) -> None:
    """Settings and the use case are as they were written, and the use case fits the declarations of this release."""
    names = git(copy.tree, "ls-tree", "-r", "--name-only", copy.written).split()
    own = [name for name in names if USE_CASE in name]
    assert own
    text = (copy.tree / SETTINGS).read_text(encoding="utf-8")
    assert [words for words in OWN.values() if words not in text] == []
    kept = git(copy.tree, "show", f"{copy.written}:{PRICES}")
    assert OWN_PRICE not in kept or OWN_PRICE in (copy.tree / PRICES).read_text(encoding="utf-8")
    assert git(copy.tree, "diff", "--name-only", copy.written, "HEAD", "--", *own) == ""
    python(copy.tree, "pipelines", "check", USE_CASE)


def test_the_review_of_the_merge_tells_of_no_loss(copy: Copy) -> None:
    """It compares the copy before and after, by the same line as for every change."""
    assert "## What this change means in each environment" in copy.review
    assert "destroyed or replaced" not in copy.review


def test_the_plan_destroys_nothing_that_holds_data(copy: Copy) -> None:
    """In no stack; what holds data is there, so that it could be destroyed, the use case's own schemas among it."""
    assert data_losses(copy.plans) == ()
    stored = [
        one["address"]
        for plan in copy.plans.values()
        for one in plan["resource_changes"]
        if one["type"] in LOST_WITH_DATA and one["change"]["actions"] != ["create"]
    ]
    assert {address.partition(".")[0] for address in stored} >= {"azurerm_storage_account", "databricks_schema"}
    assert any(USE_CASE in address for address in stored)


@pytest.mark.parametrize("stack", STACKS)
def test_what_was_applied_leaves_nothing_to_do(copy: Copy, stack: str) -> None:
    """The next plan has no changes."""
    assert changes(copy.plan(stack, "again")) == ()


def test_tables_that_the_previous_release_has_filled_go_on(copy: Copy) -> None:
    """Every table keeps its rows, and days are added."""
    assert {name: copy.after.get(name, 0) >= number for name, number in copy.before.items()} == dict.fromkeys(
        copy.before, True
    )
    assert sum(copy.after.values()) > sum(copy.before.values()) > 0


@pytest.mark.parametrize(("stack", "kind"), [("dev-platform", "azurerm_storage_account"), ("dev-workspace", "databricks_schema")])  # fmt: skip
def test_a_release_that_renames_what_holds_data_is_refused(copy: Copy, stack: str, kind: str) -> None:
    """Another address in the stack for the same object: no plan is saved, and the object is named."""
    file = copy.tree / "cdktf.out" / "stacks" / stack / "cdk.tf.json"
    text = file.read_text(encoding="utf-8")
    content = json.loads(text)
    name = next(iter(content["resource"][kind]))
    renamed = json.loads(re.sub(rf"\b{kind}\.{name}\b", f"{kind}.{name}_2", text))
    renamed["resource"][kind][f"{name}_2"] = renamed["resource"][kind].pop(name)
    file.write_text(json.dumps(renamed), encoding="utf-8")
    try:
        with pytest.raises(RehearsalError, match=rf"{kind}\.{name} of {stack} holds data and would be destroyed"):
            copy.plan(stack, "renamed")
    finally:
        file.write_text(text, encoding="utf-8")
