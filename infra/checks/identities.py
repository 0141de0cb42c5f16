"""Checks that each stack is applied by one identity, which holds no right of another."""

from collections.abc import Iterator

from infra.checks.finding import PolicyCheck, Stacks
from infra.checks.reading import resources
from infra.config.stack_names import ACCOUNT, identity_of
from infra.rights.catalogue import NEEDS, Authority


def _mixed(stacks: Stacks) -> Iterator[tuple[str, str]]:
    for resource in resources(stacks):
        identity = identity_of(resource.stack)
        for need in NEEDS.get(resource.type, ()):
            if identity == ACCOUNT and need.authority is Authority.AZURE:
                yield resource.where, f"needs {need.right} in a subscription, which the identity of the account is not."
            if identity != ACCOUNT and need.authority in (Authority.ACCOUNT, Authority.ENTRA):
                yield (
                    resource.where,
                    f"needs {need.right}, and {identity}'s identity applies its stack; move it to {identity}-account.",
                )


CHECKS = (
    PolicyCheck(
        id="one-identity-per-stack",
        reason="a stack that needs two identities can be applied by neither, and one that may do both may do everything",
        look=_mixed,
    ),
)
