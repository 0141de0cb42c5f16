"""A policy check and what it returns."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from infra.terraform_cli.synthesized import SynthesizedStack

Stacks = Mapping[str, SynthesizedStack]


@dataclass(frozen=True, kw_only=True)
class PolicyFinding:
    """One violation of one rule.

    Attributes
    ----------
    check
        Identifier of the rule, as a waiver names it.
    resource
        ``<stack>/<type>.<name>``, or whatever else the rule is about.
    message
        What is wrong, the actual value and what is allowed.
    """

    check: str
    resource: str
    message: str


@dataclass(frozen=True, kw_only=True)
class PolicyCheck:
    """One rule over all stacks.

    Attributes
    ----------
    id
        Short name, lower case with hyphens.
    reason
        Why the rule exists, for the person who violates it.
    look
        Yields resource and message of every violation.
    """

    id: str
    reason: str
    look: Callable[[Stacks], Iterator[tuple[str, str]]]

    def findings(self, stacks: Stacks) -> tuple[PolicyFinding, ...]:
        """Return every finding, by resource."""
        found = [
            PolicyFinding(check=self.id, resource=resource, message=message) for resource, message in self.look(stacks)
        ]
        return tuple(sorted(found, key=lambda finding: (finding.resource, finding.message)))
