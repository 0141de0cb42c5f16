"""The types that the loader knows, by service."""

from infra.loader.kind import LoadedKind
from infra.loader.kinds import (
    access,
    account,
    azure,
    azure_monitor,
    catalog,
    compute,
    online_store,
    settings,
    workspace,
)

KINDS: dict[str, LoadedKind] = {
    **azure.KINDS, **azure_monitor.KINDS, **account.KINDS, **settings.KINDS, **catalog.KINDS, **compute.KINDS, **workspace.KINDS, **online_store.KINDS, **access.KINDS,
}  # fmt: skip
DATA = {**azure.DATA, **account.DATA}
