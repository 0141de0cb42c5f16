"""What every check is and returns."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from infra.terraform_cli.synthesized import SynthesizedStack

Stacks = Mapping[str, SynthesizedStack]


@dataclass(frozen=True, kw_only=True)
class PolicyFinding:
    """One place that breaks one rule.

    Attributes
    ----------
    check
        Identifier of the rule, as a waiver names it.
    resource
        ``<stack>/<type>.<name>``, or what else the rule is about.
    message
        What is wrong, what was got and what is allowed.
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
        Why the rule exists, for the person who meets it.
    look
        Yields resource and message of every place that breaks the rule.
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
