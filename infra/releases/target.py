"""Where plans are made and applied: the real environment with its credentials, or an offline environment in a folder."""

import datetime as dt
import getpass
import os
import platform
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from infra.config.loading import Settings
from infra.config.stack_names import ACCOUNT
from infra.offline.terraform import offline
from infra.releases.ledger import Ledger, ledger_of
from infra.terraform_cli.driver import Terraform, with_real_providers
from infra.terraform_cli.plans import all_at_once
from infra.terraform_cli.synthesized import SynthesizedStack, needed_by

Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Target:
    """One environment and how Terraform reaches it.

    Attributes
    ----------
    folder
        The folder of local states.
    offline
        Whether the environment is offline: its states are below `folder`, and its provider reaches no cloud.
    ledger
        The records of its releases.
    cache
        With `offline`: folder of recovered schemas; None for the user's.
    """

    environment: str
    folder: Path
    offline: bool
    ledger: Ledger
    cache: Path | None = None

    def terraform(self, stacks: Mapping[str, SynthesizedStack], chosen: Collection[str]) -> dict[str, Terraform]:
        """Return Terraform for each chosen stack; offline, the stacks that these read are deployed first if they are missing.

        What reads a chosen stack that is not there yet, as the account's part of an environment reads its platform, waits for it.

        Parameters
        ----------
        stacks
            Every synthesized stack, in order.
        """
        if not self.offline:
            return {name: with_real_providers(stack) for name, stack in stacks.items() if name in chosen}
        needed = needed_by(chosen, stacks)
        prepared = offline(needed, self.folder, cache=self.cache)
        awaited = {name for name in chosen if not self._state(name).exists()}
        missing = [
            name for name in prepared
            if name not in chosen and not self._state(name).exists() and not awaited & needed_by([name], stacks).keys()
        ]  # fmt: skip
        all_at_once((prepared[name] for name in missing), lambda terraform: terraform.init())
        for name in missing:
            prepared[name].deploy()
        return {name: terraform for name, terraform in prepared.items() if name in chosen}

    def _state(self, stack: str) -> Path:
        return self.folder / "state" / f"{stack}.tfstate"


def target_of(environment: str, settings: Settings, *, offline_folder: Path | None, folder: Path) -> Target:
    """Return a real environment as the settings describe it, or an offline one.

    Parameters
    ----------
    offline_folder
        The folder of an offline environment; None for the real one.
    folder
        The folder of the local states of the real environment.
    """
    if offline_folder is not None:
        place = offline_folder.resolve()
        return Target(environment=environment, folder=place, offline=True, ledger=ledger_of(environment, None, place))
    stated = settings.account if environment == ACCOUNT else settings.environments[environment]
    return Target(
        environment=environment, folder=folder, offline=False, ledger=ledger_of(environment, stated.state, folder)
    )


def who() -> str:
    """Return who runs this process, as ``user@machine``."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        user = str(os.getuid())
    return f"{user}@{platform.node()}"


def utc_now() -> dt.datetime:
    """Return the time, in whole seconds."""
    return dt.datetime.now(tz=dt.UTC).replace(microsecond=0)
