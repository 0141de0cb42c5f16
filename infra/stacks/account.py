"""What all environments share: metastore, groups, identities, network policies, budgets. Nothing needs a workspace."""

from collections.abc import Mapping

from databricks.sdk.service.billing import (
    ActionConfigurationType,
    AlertConfigurationQuantityType,
    AlertConfigurationTimePeriod,
    AlertConfigurationTriggerType,
    BudgetConfigurationFilterOperator,
)
from databricks.sdk.service.settings import EgressNetworkPolicyNetworkAccessPolicyRestrictionMode as RestrictionMode

from infra.config.loading import Settings
from infra.config.model import AccountSettings, Budget, EnvironmentSettings, GroupSource, Team
from infra.config.naming import ResourceKind, logical_id, name, role_group, team_group
from infra.config.network import Egress
from infra.config.pipeline_names import CONNECTIONS, signs_in_as
from infra.config.stack_names import ACCOUNT
from infra.permissions.roles import Role
from infra.stacks.providers import databricks_account
from infra.synthesis.stack import Provider, RemoteState, Resource, Stack

TOKEN_AUDIENCE = "api://AzureADTokenExchange"  # noqa: S105 # the audience of a federated token, published by Microsoft
GROUP_OUTPUT = "group"
RESTRICTIONS: Mapping[Egress, RestrictionMode] = {
    Egress.RESTRICTED: RestrictionMode.RESTRICTED_ACCESS,
    Egress.OPEN: RestrictionMode.FULL_ACCESS,
}


def account_stack(settings: Settings, state: RemoteState) -> Stack:
    """Return the account stack, which the identity of the account applies.

    Outputs
    -------
    ``metastore_id``; ``group_<environment>_<role>`` and ``group_team_<team>``: numeric ids of groups;
    ``runner_<environment>`` and ``runner_id_<environment>``: application id and numeric id of the service principal;
    ``deployer`` and ``deployer_id``: application id and
    numeric id of the identity of the account;
    ``network_policy_<environment>``; ``budget_policy_<team>``.
    """
    stack = Stack(name=ACCOUNT, description="metastore, groups, identities, network policies, budgets", state=state)
    account = settings.account
    databricks = databricks_account(stack, account)
    entra = stack.provider("azuread", "entra", tenant_id=account.entra_tenant_id)
    mirrored = _entra_groups(stack, databricks, account)
    stack.output("metastore_id", _metastore(stack, databricks, account, mirrored).id)
    deployer = _deployer(stack, databricks, entra, account)
    for environment, stated in settings.environments.items():
        _role_groups(stack, databricks, account, environment, stated, mirrored)
        _service_principal(stack, databricks, entra, account, environment, owner=deployer)
        _network_policy(stack, databricks, account, environment, stated)
        tag = {"environment": environment}
        _budget(stack, databricks, account, environment, stated.budget.monthly, tag, stated.budget)
    for team in settings.teams:
        _team(stack, databricks, account, team, mirrored, settings)
    return stack


def _metastore(
    stack: Stack, provider: Provider, account: AccountSettings, mirrored: Mapping[str, Resource]
) -> Resource:
    """Add the metastore of the region, or look up the one that the settings name: a region has one in an account.

    Source: https://learn.microsoft.com/en-us/azure/databricks/data-governance/unity-catalog/create-metastore
    """
    stated = account.metastore
    if stated.administrators is None:
        return stack.look_up("databricks_metastore", "metastore", provider=provider, metastore_id=stated.id)
    return stack.add(
        "databricks_metastore",
        "metastore",
        provider=provider,
        prevent_destroy=account.locks,
        name=name(ResourceKind.METASTORE, account.organisation, stated.region),
        region=stated.region,
        owner=mirrored[stated.administrators].attribute("display_name"),
    )


def _deployer(stack: Stack, databricks: Provider, entra: Provider, account: AccountSettings) -> str:
    """Look up the identity of the account, which applies this stack and cannot be in it; return its Entra object id."""
    application = name(ResourceKind.APPLICATION, account.organisation, ACCOUNT)
    in_entra = stack.look_up("azuread_service_principal", "deployer", provider=entra, display_name=application)
    in_databricks = stack.look_up(
        "databricks_service_principal",
        "deployer",
        provider=databricks,
        application_id=in_entra.attribute("client_id"),
    )
    stack.output("deployer", in_entra.attribute("client_id"))
    stack.output("deployer_id", in_databricks.id)
    return in_entra.attribute("object_id")


def _entra_groups(stack: Stack, provider: Provider, account: AccountSettings) -> Mapping[str, Resource]:
    """Return the Entra groups that the settings name: added to the account by their object ids, or looked up by name."""
    if account.entra_groups_are is GroupSource.EXISTING:
        return {
            group: stack.look_up("databricks_group", logical_id("entra", group), provider=provider, display_name=group)
            for group in account.entra_groups
        }
    return {
        group: stack.add(
            "databricks_group",
            logical_id("entra", group),
            provider=provider,
            display_name=group,
            external_id=object_id,
        )
        for group, object_id in account.entra_groups.items()
    }


def _role_groups(
    stack: Stack,
    provider: Provider,
    account: AccountSettings,
    environment: str,
    stated: EnvironmentSettings,
    mirrored: Mapping[str, Resource],
) -> None:
    for role in Role:
        label = logical_id(environment, role.value)
        display_name = role_group(account.organisation, environment, role)
        _group(stack, provider, label, display_name, [mirrored[group] for group in stated.roles[role].groups])


def _group(stack: Stack, provider: Provider, label: str, display_name: str, members: list[Resource]) -> None:
    group = stack.add("databricks_group", logical_id("role", label), provider=provider, display_name=display_name)
    for member in members:
        stack.add(
            "databricks_group_member",
            logical_id(label, member.name.removeprefix("entra_")),
            provider=provider,
            group_id=group.id,
            member_id=member.id,
        )
    stack.output(f"{GROUP_OUTPUT}_{label}", group.id)


def _service_principal(
    stack: Stack, databricks: Provider, entra: Provider, account: AccountSettings, environment: str, *, owner: str
) -> None:
    """Add the service principal that deploys an environment and runs its jobs: federated with Azure DevOps, no secret.

    Parameters
    ----------
    owner
        Entra object id of the identity that applies the stack: with the Graph role Application.ReadWrite.OwnedBy it
        changes only the applications that it owns, and the provider takes away an owner that is not stated.
        Source: https://github.com/hashicorp/terraform-provider-azuread/blob/main/docs/resources/application.md
    """
    devops = account.azure_devops
    display_name = name(ResourceKind.APPLICATION, account.organisation, environment)
    application = stack.add(
        "azuread_application",
        logical_id("runner", environment),
        provider=entra,
        display_name=display_name,
        owners=[owner],
        prevent_duplicate_names=True,
    )
    stack.add(
        "azuread_service_principal",
        logical_id("runner", environment),
        provider=entra,
        client_id=application.attribute("client_id"),
        owners=[owner],
        app_role_assignment_required=True,
    )
    for connection in (key for key, declared in CONNECTIONS.items() if declared.stage == environment):
        issuer, subject = signs_in_as(devops, connection)
        stack.add(
            "azuread_application_federated_identity_credential",
            logical_id("service_connection", connection),
            provider=entra,
            application_id=application.id,
            display_name=f"azure-devops-{connection}",
            audiences=[TOKEN_AUDIENCE],
            issuer=issuer,
            subject=subject,
        )
    principal = stack.add(
        "databricks_service_principal",
        logical_id("runner", environment),
        provider=databricks,
        application_id=application.attribute("client_id"),
        display_name=display_name,
    )
    # Every run of a pipeline gets the pipeline's own token. Only a service connection's token is protected by checks.
    issuer, subject = signs_in_as(devops, environment)
    stack.add(
        "databricks_service_principal_federation_policy",
        logical_id("azure_devops", environment),
        provider=databricks,
        service_principal_id=principal.id,
        policy_id=f"azure-devops-{environment}",
        oidc_policy={"issuer": issuer, "audiences": [TOKEN_AUDIENCE], "subject": subject},
    )
    stack.output(f"runner_{environment}", principal.attribute("application_id"))
    stack.output(f"runner_id_{environment}", principal.id)


def _network_policy(
    stack: Stack, provider: Provider, account: AccountSettings, environment: str, stated: EnvironmentSettings
) -> None:
    policy = stack.add(
        "databricks_account_network_policy",
        logical_id("egress", environment),
        provider=provider,
        account_id=account.databricks_account_id,
        network_policy_id=name(ResourceKind.NETWORK_POLICY, account.organisation, environment),
        egress={"network_access": {"restriction_mode": RESTRICTIONS[stated.network.egress].value}},
    )
    stack.output(f"network_policy_{environment}", policy.attribute("network_policy_id"))


def _team(
    stack: Stack,
    provider: Provider,
    account: AccountSettings,
    team: Team,
    mirrored: Mapping[str, Resource],
    settings: Settings,
) -> None:
    label = logical_id("team", team.name)
    _group(stack, provider, label, team_group(account.organisation, team.name), [mirrored[team.members]])
    notify = sorted({address for stated in settings.environments.values() for address in stated.budget.notify})
    first = next(iter(settings.environments.values())).budget
    budget = first.model_copy(update={"notify": tuple(notify)})
    _budget(stack, provider, account, label, team.monthly_budget, {"team": team.name}, budget)
    policy = stack.add(
        "databricks_budget_policy",
        logical_id(team.name),
        provider=provider,
        policy_name=name(ResourceKind.BUDGET, account.organisation, team.name),
        custom_tags=[{"key": "team", "value": team.name}, {"key": "cost_centre", "value": team.cost_centre}],
    )
    stack.output(f"budget_policy_{logical_id(team.name)}", policy.attribute("policy_id"))


def _budget(
    stack: Stack,
    provider: Provider,
    account: AccountSettings,
    label: str,
    amount: int,
    tags: Mapping[str, str],
    budget: Budget,
) -> None:
    """Add a monthly budget for everything with the given tags, which notifies people when it is used up."""
    stack.add(
        "databricks_budget",
        logical_id(label),
        provider=provider,
        display_name=name(ResourceKind.BUDGET, account.organisation, label),
        filter={
            "tags": [
                {"key": key, "value": {"operator": BudgetConfigurationFilterOperator.IN.value, "values": [value]}}
                for key, value in tags.items()
            ]
        },
        alert_configurations=[
            {
                "time_period": AlertConfigurationTimePeriod.MONTH.value,
                "trigger_type": AlertConfigurationTriggerType.CUMULATIVE_SPENDING_EXCEEDED.value,
                "quantity_type": AlertConfigurationQuantityType.LIST_PRICE_DOLLARS_USD.value,
                "quantity_threshold": str(amount),
                "action_configurations": [
                    {"action_type": ActionConfigurationType.EMAIL_NOTIFICATION.value, "target": address}
                    for address in budget.notify
                ],
            }
        ],
    )
