"""The scenarios of a rehearsal: their steps in order. What a pipeline does is in the pipeline's own file."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from infra.config.stack_names import ACCOUNT
from infra.emulated_cloud.world import Site, World
from infra.rehearsal.bootstrap import RehearsalError
from infra.rehearsal.branches import FIRST, SECOND, Branches, allow_branches
from infra.rehearsal.by_hand import ByHand
from infra.rehearsal.company import commit
from infra.rehearsal.existing_company import HUB, owned, settle, state_what_exists
from infra.rehearsal.rehearsal import Rehearsal
from infra.rehearsal.snapshots import snapshot

TO_DEV = ("build", "plan_account", "account", "dev_platform", "plan_dev_account", "dev_account", "dev")
"""The stages of main that deploy dev."""
ENVIRONMENTS = ("dev", "staging", "prod")
TRIES = (".venv/bin/python -m pipelines integration ", ".venv/bin/pytest ")
"""What main tries a release with; together it takes most of the time of a rehearsal."""


class Extent(StrEnum):
    """How far a rehearsal goes."""

    SHORT = "short"
    DEV = "dev"
    RELEASE = "release"
    ALL = "all"

    @property
    def environments(self) -> tuple[str, ...]:
        """The environments that take part."""
        return ENVIRONMENTS if self.reaches_prod else ("dev",)

    @property
    def reaches_prod(self) -> bool:
        """Whether staging and prod take part."""
        return self in (Extent.RELEASE, Extent.ALL)

    @property
    def leaves_out(self) -> tuple[str, ...]:
        """The commands that are not carried out, by their beginnings; none but for a quick way to prod."""
        return TRIES if self is Extent.RELEASE else ()

    @property
    def places(self) -> tuple[str, ...]:
        """The places that have a state, and so are connected."""
        return (ACCOUNT, *self.environments)

    @property
    def stages(self) -> tuple[str, ...]:
        """The stages of main that are played; none for all."""
        return TO_DEV if self is Extent.SHORT else ()


def first(rehearsal: Rehearsal, extent: Extent, cdktf: str | None) -> None:
    """Go from an empty company to its environments and back."""
    hand = ByHand(rehearsal=rehearsal, cdktf=cdktf)
    rehearsal.bootstrap()
    rehearsal.ask_what_is_missing("dev")
    hand.deploy(ACCOUNT, ACCOUNT)
    rehearsal.give_rights()
    hand.deploy_what_is_read_by("dev")
    if cdktf or extent is Extent.ALL:
        hand.deploy_environment("dev")  # then the pipeline deploys the same, and has nothing to change
    rehearsal.pipeline("main", {}, stages=extent.stages)
    if extent.reaches_prod:
        rehearsal.release("v1", broken=False)
        rehearsal.release("v2", broken=True)
    scientists, outsiders = (
        f"grp-{rehearsal.settings.account.organisation}-{who}" for who in ("dev-data-scientist", "team-loyalty")
    )
    rehearsal.drift_by_hand("dev", scientists)
    if extent.reaches_prod:
        rehearsal.try_access("prod", scientists, "flight_delay_bronze.schedule")
    rehearsal.try_access("dev", outsiders, "flight_delay_bronze.schedule")
    rehearsal.review()
    hand.destroy("dev")


def interrupted(rehearsal: Rehearsal, _extent: Extent, cdktf: str | None) -> None:
    """Kill the apply of dev's workspace in the middle, and continue; then the same with a catalog that no state knows."""
    hand = ByHand(rehearsal=rehearsal, cdktf=cdktf)
    rehearsal.bootstrap()
    rehearsal.ask_what_is_missing("dev")
    hand.deploy(ACCOUNT, ACCOUNT)
    rehearsal.give_rights()
    hand.deploy_what_is_read_by("dev")
    hand.deploy("dev-platform", "dev")
    hand.deploy("dev-account", ACCOUNT)
    hand.kill_in_the_middle("dev-workspace", "dev")
    hand.continue_deployment("dev-workspace", "dev")
    hand.expect_no_changes("dev-workspace", "dev")
    hand.lose_record("dev-workspace", "dev", "databricks_catalog.catalog")
    hand.continue_deployment("dev-workspace", "dev")
    hand.expect_no_changes("dev-workspace", "dev")


def branches(rehearsal: Rehearsal, _extent: Extent, cdktf: str | None) -> None:
    """Deploy two branches into dev beside the originals, run a job of one, and remove both: nothing else may change."""
    hand, steps = ByHand(rehearsal=rehearsal, cdktf=cdktf), Branches(rehearsal=rehearsal)
    rehearsal.bootstrap()
    hand.deploy(ACCOUNT, ACCOUNT)
    rehearsal.give_rights()
    hand.deploy_what_is_read_by("dev")
    hand.deploy_environment("dev")
    without = snapshot(rehearsal.site.cloud.world)
    steps.refuse_person()
    steps.deploy(FIRST)
    with_first = snapshot(rehearsal.site.cloud.world)
    steps.deploy(SECOND)
    steps.remove(SECOND, with_first, by_night=False)
    steps.run(FIRST)
    hand.expect_no_changes("dev-workspace", "dev")
    steps.remove(FIRST, without, by_night=True)


def existing(rehearsal: Rehearsal, extent: Extent, cdktf: str | None) -> None:
    """Deploy dev in a company with a metastore, groups and a hub network, take it down, and leave those as they were."""
    world, groups = rehearsal.site.cloud.world, list(rehearsal.settings.account.entra_groups)
    before = owned(world, groups)
    hand = ByHand(rehearsal=rehearsal, cdktf=cdktf)
    rehearsal.bootstrap()
    rehearsal.ask_what_is_missing("dev")
    hand.deploy(ACCOUNT, ACCOUNT)
    rehearsal.give_rights()
    rehearsal.give_role("let dev's identity use the hub's network and zones", "dev", "Network Contributor",
                        f"/subscriptions/{HUB}")  # fmt: skip
    hand.deploy_what_is_read_by("dev")
    rehearsal.pipeline("main", {}, stages=extent.stages)
    rehearsal.try_access(
        "dev", f"grp-{rehearsal.settings.account.organisation}-team-loyalty", "flight_delay_bronze.schedule"
    )
    hand.destroy("dev")
    with rehearsal.step("compare metastore, groups and hub with those before", "person") as found:
        if owned(world, groups) != before:
            raise RehearsalError(f"what the company had is changed: {before} became {owned(world, groups)}")
        found.append(
            f"{len(before.metastores)} metastore, {len(before.groups)} groups, {len(before.hub)} of the hub: unchanged"
        )


@dataclass(frozen=True, kw_only=True)
class RehearsalScenario:
    """One scenario.

    Parameters
    ----------
    steps
        What is done, in order.
    prepare
        Changes the settings of the company before anything is synthesized.
    settle
        Gives the emulated cloud what the company has before the first deployment.
    """

    steps: Callable[[Rehearsal, Extent, str | None], None]
    prepare: Callable[[Path], None] = lambda _tree: None
    settle: Callable[[World, list[str]], None] = lambda _world, _groups: None


def _name_what_exists(tree: Path) -> None:
    state_what_exists(tree / "infra", Site().metastore, "dev")
    commit(tree, "The metastore, the groups and the hub that the company has")


SCENARIOS: Mapping[str, RehearsalScenario] = {
    "first": RehearsalScenario(steps=first),
    "interrupted": RehearsalScenario(steps=interrupted),
    "existing": RehearsalScenario(steps=existing, prepare=_name_what_exists, settle=settle),
    "branches": RehearsalScenario(steps=branches, prepare=allow_branches),
}
