"""Who is a member of what, who signs in as whom, and who holds an Azure role: compared with settings and ceilings."""

from collections import Counter
from collections.abc import Iterator

from infra.config.ceilings import AzureRight, Ceilings
from infra.config.loading import Settings
from infra.config.naming import role_group, team_group
from infra.config.network import Egress
from infra.config.pipeline_names import CONNECTIONS, signs_in_as
from infra.config.stack_names import ACCOUNT
from infra.graph.estate import Estate, GraphResource
from infra.graph.principals import Principals
from infra.graph.settings_values import groups_of_roles

Found = Iterator[tuple[str, str]]
RESTRICTED, FULL = "RESTRICTED_ACCESS", "FULL_ACCESS"


def identity_findings(estate: Estate, ceilings: Ceilings) -> Found:
    """Yield resource and message of every identity that is more than the settings and the ceilings say."""
    principals = Principals(estate)
    yield from _groups(estate)
    yield from _members(estate, principals)
    yield from _applications(estate, principals)
    yield from _looked_up(estate)
    yield from _federations(estate, principals)
    yield from _policies(estate)
    yield from _azure_roles(estate, ceilings)


def expected_members(settings: Settings) -> dict[str, frozenset[str]]:
    """Return the groups of roles and teams, each with the Entra groups that the settings put into it."""
    organisation = settings.account.organisation
    of_roles = {
        role_group(organisation, place, role): frozenset(those) for place, role, those in groups_of_roles(settings)
    }
    return of_roles | {team_group(organisation, team.name): frozenset({team.members}) for team in settings.teams}


def _groups(estate: Estate) -> Found:
    account = estate.settings.account
    expected = {*expected_members(estate.settings), *account.entra_groups}
    shown: Counter[str] = Counter()
    for group in estate.of("databricks_group", "data.databricks_group"):
        name = str(group.get("display_name"))
        shown[name] += 1
        stated = account.entra_groups.get(name)
        if name not in expected:
            yield group.where, f"is a group {name!r}, which the settings name nowhere."
        elif group.get("external_id") not in (stated, None) or (name in account.entra_groups) != (
            "entra_" in group.name
        ):
            yield (
                group.where,
                f"stands for the Entra group {group.get('external_id')}, the settings say {stated} for {name}.",
            )
        elif group.type == "databricks_group" and stated is not None and group.get("external_id") is None:
            yield group.where, f"does not state the object id of {name} in Entra, which is {stated}."
    for name in sorted(expected - set(shown)):
        yield "account", f"has no group {name!r}, whose rights nobody would hold."
    for name, count in shown.items():
        if count > 1:
            yield "account", f"has {count} groups {name!r}: nobody can say which of them a right is for."


def _members(estate: Estate, principals: Principals) -> Found:
    expected = expected_members(estate.settings)
    found: dict[str, set[str]] = {name: set() for name in expected}
    for member in estate.of("databricks_group_member"):
        group = principals.of(member.stack, member.get("group_id"))
        who = principals.of(member.stack, member.get("member_id"))
        if who.kind == "company" and who.name in expected.get(group.name, ()):
            found[group.name].add(who.name)
            continue
        yield (
            member.where,
            (
                f"makes {who.words} a member of {group.words}, so that it holds everything that group holds; the settings "
                f"put {', '.join(sorted(expected.get(group.name, ()))) or 'nobody'} into it."
            ),
        )
    for group_name, members in expected.items():
        for missing in sorted(members - found[group_name]):
            yield "account", f"does not make {missing} a member of {group_name}, as the settings say."


def _applications(estate: Estate, principals: Principals) -> Found:
    kinds = ("databricks_service_principal", "azuread_application", "azuread_service_principal")
    for resource in estate.of(*kinds):
        who = principals.of_resource(resource)
        if who.kind != "runner":
            yield resource.where, f"is an identity {who.name!r} that belongs to no environment of the settings."
    for environment in estate.settings.environments:
        for kind in kinds:
            if f"account/{kind}.runner_{environment}" not in estate.by_where:
                yield "account", f"has no {kind}.runner_{environment}, the identity of {environment}."


def _looked_up(estate: Estate) -> Found:
    """Yield identities that are looked up as somebody other than their name says."""
    for one in estate.of("data.azuread_service_principal"):
        stated = [name for name in ("display_name", "client_id") if one.get(name) is not None]
        if stated != (["display_name"] if one.stack == ACCOUNT else ["client_id"]):
            yield one.where, f"is looked up by {' and '.join(stated) or 'nothing'}, and so may be another identity."


_SIGNING_IN = {
    "azuread_application_federated_identity_credential": ("application_id", "issuer", "subject"),
    "databricks_service_principal_federation_policy": (
        "service_principal_id", "oidc_policy.issuer", "oidc_policy.subject",
    ),
}  # fmt: skip


def _federations(estate: Estate, principals: Principals) -> Found:
    devops = estate.settings.account.azure_devops
    for kind, (whose, issuer, subject) in _SIGNING_IN.items():
        for policy in estate.of(kind):
            who = principals.of(policy.stack, policy.get(whose))
            allowed = [signs_in_as(devops, key) for key, one in CONNECTIONS.items() if one.stage == who.environment]
            stated = (str(policy.get(issuer)), str(policy.get(subject)))
            if who.kind != "runner" or stated not in allowed:
                connections = " or ".join(f"{i} {s}" for i, s in allowed) or "nobody"
                yield (
                    policy.where,
                    f"lets {stated[1]} of {stated[0]} sign in as {who.words}; its service connections are {connections}.",
                )


def _policies(estate: Estate) -> Found:
    """Yield workspaces under a network policy that is not their own, or wider than the settings say."""
    for option in estate.of("databricks_workspace_network_option"):
        stated = estate.settings.environments.get(option.environment)
        policy = estate.origin(option.stack, option.get("network_policy_id"))
        if stated is None or policy is None or policy.type != "databricks_account_network_policy":
            yield (
                option.where,
                f"is under {option.get('network_policy_id')}, which is no network policy of these stacks.",
            )
            continue
        mode = policy.get("egress.network_access.restriction_mode")
        if policy.name != f"egress_{option.environment}":
            yield option.where, f"is under the network policy of another environment, {policy.where}."
        if mode != (RESTRICTED if stated.network.egress is Egress.RESTRICTED else FULL):
            yield (
                policy.where,
                f"lets {option.environment}'s serverless compute out with {mode}; egress is {stated.network.egress}.",
            )


def _azure_roles(estate: Estate, ceilings: Ceilings) -> Found:
    for assignment in estate.of("azurerm_role_assignment"):
        role = str(assignment.get("role_definition_name"))
        allowed = ceilings.azure_roles.get(role, ())
        if not any(_holds(estate, assignment, one) for one in allowed):
            who = estate.resolved(assignment.stack, assignment.get("principal_id"))
            scope = estate.resolved(assignment.stack, assignment.get("scope"))
            may = " or ".join(f"{_words(one)} on {one.scope}" for one in allowed) or "nobody"
            yield (
                assignment.where,
                f"gives {who} the role {role!r} on {scope}; it may be held by {may} of the same environment.",
            )


def _words(right: AzureRight) -> str:
    return f"{right.principal} of {right.named}" if right.named else right.principal


def _holds(estate: Estate, assignment: GraphResource, right: AzureRight) -> bool:
    principal, scope = right.principal, right.scope
    who = estate.origins(assignment.stack, assignment.get("principal_id"))
    on = estate.resolved(assignment.stack, assignment.get("scope"))
    kind, _, attribute = principal.rpartition(".")
    target = estate.origin(assignment.stack, assignment.get("scope"))
    return (
        len(who) == 1
        and (who[0].type, who[0].attribute, who[0].stack) == (kind, attribute, assignment.stack)
        and who[0].where.rpartition(".")[2] == (right.named or who[0].where.rpartition(".")[2])
        and target is not None
        and target.type == scope
        and on == f"@{{{assignment.stack}/{scope}.{target.name}.id}}"
    )
