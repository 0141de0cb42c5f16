"""The company that rehearses has made no release before its first."""

import datetime as dt
import subprocess
from pathlib import Path

from infra.build.release import ROOT
from infra.commands.review.judge import last_release
from infra.config.checks import load_settings
from infra.rehearsal.company import STATES, found_company


def test_a_version_of_the_product_is_no_release_of_the_company(tmp_path: Path) -> None:
    """Its main is judged by itself until it has released something, whatever tags the product has."""
    product = tmp_path / "product"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(product)], check=True)
    own = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org")
    subprocess.run(["git", *own, "tag", "--annotate", "--message", "A version", "v0.0.7"], cwd=product, check=True)
    tree = found_company(product, tmp_path, ())
    tags = subprocess.run(["git", "tag", "--list"], cwd=tree, check=True, capture_output=True, text=True).stdout
    assert tags == ""
    assert last_release(tree / "none", tree) is None


def test_the_company_keeps_what_the_services_demand_of_its_settings(tmp_path: Path) -> None:
    """A budget begins in the present month, and dev's identity reaches no state but its own."""
    tree = found_company(ROOT, tmp_path, STATES)
    settings = load_settings(tree / "infra" / "settings")
    months = {stated.budget.first_month for stated in settings.environments.values()}
    assert months == {f"{dt.datetime.now(tz=dt.UTC):%Y-%m}"}
    dev = settings.environments["dev"]
    states = [settings.account.state, *(stated.state for stated in settings.environments.values())]
    assert [state for state in states if state and state.subscription_id == dev.subscription_id] == [dev.state]
