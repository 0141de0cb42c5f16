"""The types that the loader knows, by service."""

from infra.loader.kind import Kind
from infra.loader.kinds import access, account, azure, catalog, compute, settings, workspace

KINDS: dict[str, Kind] = {
    **azure.KINDS, **account.KINDS, **settings.KINDS, **catalog.KINDS, **compute.KINDS, **workspace.KINDS, **access.KINDS,
}  # fmt: skip
DATA = {**azure.DATA, **account.DATA}
