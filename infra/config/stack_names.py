"""The names of the stacks, and the one identity that applies each of them.

Each stack is applied by exactly one identity, the first time and ever after. The identity of the account administers the
Databricks account; an environment's identity has rights in its own subscription and workspace alone. The code of a pull
request can sign in as dev's identity and as no other.
"""

from enum import StrEnum

from pipelines.declarations.environment import DEV, ENVIRONMENTS

ACCOUNT = "account"
"""The name of the stack that all environments share, and of the identity that administers the account."""


class Part(StrEnum):
    """The kinds of stack, in the order in which they are deployed; each value is the name of its module.

    Branches come and go: their stacks are on no list of all stacks.
    """

    ACCOUNT = "account"
    PLATFORM = "platform"
    ENVIRONMENT_ACCOUNT = "environment_account"
    WORKSPACE = "workspace"
    BRANCH = "branch"


PARTS_OF_ENVIRONMENTS = (Part.PLATFORM, Part.ENVIRONMENT_ACCOUNT, Part.WORKSPACE)
_ENDINGS = {
    Part.PLATFORM: "platform",
    Part.ENVIRONMENT_ACCOUNT: "account",
    Part.WORKSPACE: "workspace",
    Part.BRANCH: "branch",
}


def stack_name(part: Part, environment: str = "") -> str:
    """Return the name of a stack, such as ``account``, ``dev-platform``, ``dev-account`` or ``dev-workspace``."""
    return ACCOUNT if part is Part.ACCOUNT else f"{environment}-{_ENDINGS[part]}"


def branch_stack_name(environment: str, branch: str) -> str:
    """Return the name of the stack of a branch, such as ``dev-new_gate-branch``."""
    return f"{environment}-{branch}-{_ENDINGS[Part.BRANCH]}"


def is_branch(stack: str) -> bool:
    """Return whether a stack is that of a branch, in the environment in which branches run."""
    named, ending = stack.count("-") == 2, f"-{_ENDINGS[Part.BRANCH]}"
    return named and stack.startswith(f"{DEV.name}-") and stack.endswith(ending)


def branch_in(stack: str) -> str:
    """Return the branch whose stack it is, by the name that `branch_stack_name` gives."""
    return stack.split("-")[1]


def part_of(stack: str) -> Part:
    """Return the kind of a stack.

    Raises
    ------
    KeyError
        If no kind of stack has such a name.
    """
    if stack == ACCOUNT:
        return Part.ACCOUNT
    return {ending: part for part, ending in _ENDINGS.items()}[stack.rpartition("-")[2]]


def environment_of(stack: str) -> str:
    """Return the environment that a stack belongs to, or ``account`` for what all environments share."""
    environment, separator, _ = stack.partition("-")
    return environment if separator else ACCOUNT


def identity_of(stack: str) -> str:
    """Return whose identity applies a stack: ``account``, or the environment's own."""
    return ACCOUNT if stack.endswith(_ENDINGS[Part.ENVIRONMENT_ACCOUNT]) else environment_of(stack)


def all_stacks() -> tuple[str, ...]:
    """Return the names of all stacks, in the order in which they are deployed."""
    return (ACCOUNT, *(stack_name(part, name) for part in PARTS_OF_ENVIRONMENTS for name in ENVIRONMENTS))


def applied_by(identity: str) -> tuple[str, ...]:
    """Return the stacks that one identity applies, in the order in which they are deployed."""
    return tuple(stack for stack in all_stacks() if identity_of(stack) == identity)
