"""Checks on the storage of Terraform's state, which no stack creates: what the settings state about it."""

from collections.abc import Iterator

from infra.checks.finding import PolicyFinding
from infra.config.loading import Settings
from infra.config.model import StateStorage

CHECK = "state-is-closed"


def state_findings(settings: Settings) -> tuple[PolicyFinding, ...]:
    """Return the states that anybody reaches over the network: they hold the identifiers of everything that is deployed."""
    stated = {"account": settings.account.state, **{n: e.state for n, e in settings.environments.items()}}
    return tuple(_open(stated))


def _open(stated: dict[str, StateStorage | None]) -> Iterator[PolicyFinding]:
    for name, state in stated.items():
        if state is not None and not state.is_reached_from:
            message = (
                f"the settings state nobody who reaches {state.storage_account}; give its allowed_ip_ranges or "
                "endpoint_subnet, and run `python -m infra bootstrap` again."
            )
            yield PolicyFinding(check=CHECK, resource=f"settings/{name}.state", message=message)
