"""The scenarios of a rehearsal: their steps in order. What a pipeline does is in the pipeline's own file."""

from collections.abc import Callable, Mapping
from enum import StrEnum

from infra.config.stack_names import ACCOUNT
from infra.rehearsal.rehearsal import Rehearsal

TO_DEV = ("build", "plan_account", "account", "dev_platform", "plan_dev_account", "dev_account", "dev")
"""The stages of main that deploy dev."""
ENVIRONMENTS = ("dev", "staging", "prod")


class Extent(StrEnum):
    """How far a rehearsal goes."""

    SHORT = "short"
    DEV = "dev"
    ALL = "all"

    @property
    def environments(self) -> tuple[str, ...]:
        """The environments that take part."""
        return ENVIRONMENTS if self is Extent.ALL else ("dev",)

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
    rehearsal.bootstrap()
    rehearsal.deploy_by_hand(ACCOUNT, ACCOUNT, cdktf)
    rehearsal.give_rights()
    if extent is Extent.ALL:
        rehearsal.deploy_by_hand("prod-platform", "prod", cdktf)
    rehearsal.pipeline("main", {}, stages=extent.stages)
    if extent is Extent.ALL:
        rehearsal.release("v1", broken=False)
        rehearsal.release("v2", broken=True)
    scientists, outsiders = (
        f"grp-{rehearsal.settings.account.organisation}-{who}" for who in ("dev-data-scientist", "team-loyalty")
    )
    rehearsal.drift_by_hand("dev", scientists)
    if extent is Extent.ALL:
        rehearsal.try_access("prod", scientists, "flight_delay_bronze.schedule")
    rehearsal.try_access("dev", outsiders, "flight_delay_bronze.schedule")
    rehearsal.review()
    rehearsal.destroy("dev")


def interrupted(rehearsal: Rehearsal, _extent: Extent, cdktf: str | None) -> None:
    """Kill the apply of dev's workspace in the middle, and continue."""
    rehearsal.bootstrap()
    rehearsal.deploy_by_hand(ACCOUNT, ACCOUNT, cdktf)
    rehearsal.give_rights()
    rehearsal.deploy_by_hand("dev-platform", "dev", cdktf)
    rehearsal.deploy_by_hand("dev-account", ACCOUNT, cdktf)
    rehearsal.kill_in_the_middle("dev-workspace", "dev")
    rehearsal.deploy_by_hand("dev-workspace", "dev", cdktf)


SCENARIOS: Mapping[str, Callable[[Rehearsal, Extent, str | None], None]] = {"first": first, "interrupted": interrupted}
