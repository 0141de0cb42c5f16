"""The Azure resources of one environment."""

from infra.config.naming import ResourceKind, logical_id
from infra.config.stack_names import Part, stack_name
from infra.constructs.azure.alert_rules import alert_rules
from infra.constructs.azure.databricks_workspace import databricks_workspace, managed_group, workspace_storage_id
from infra.constructs.azure.encryption import encryption
from infra.constructs.azure.insights import application_insights
from infra.constructs.azure.lake_storage import lake_storage
from infra.constructs.azure.network import network
from infra.constructs.azure.observability import diagnose_everything, log_workspace
from infra.constructs.azure.openings import ENDPOINT_SUBNET, GROUP, LAKE, SERVICES, WORKSPACE_STORAGE, zone_output
from infra.constructs.azure.telemetry_outputs import CONNECTION, CONNECTOR
from infra.constructs.azure.workbook import telemetry_workbook
from infra.constructs.deployment import Deployment
from infra.stacks.providers import azure_subscription
from infra.synthesis.stack import Provider, RemoteState, Resource, Stack

WARNING_PERCENT = (80, 100)


def platform_stack(deployment: Deployment, account: Stack, state: RemoteState) -> Stack:
    """Return the platform stack of one environment, which the environment's own identity applies.

    Outputs
    -------
    ``deployer``: application id of the identity that applies the stack; ``workspace_url``, ``workspace_id``,
    ``workspace_resource_id``, ``workspace_storage_id``, ``connector_id``, ``lake_url``, ``lake_id``, ``vault_id``,
    ``vault_uri``; and for private endpoints to other environments: ``resource_group``, ``endpoint_subnet_id``,
    ``zone_dfs_id``, ``zone_blob_id``; and with telemetry ``telemetry_connection``, ``telemetry_connector_id``.
    """
    stack = Stack(
        name=stack_name(Part.PLATFORM, deployment.environment),
        description="network, storage, keys, workspace, logs, locks",
        state=state,
    )
    azure = azure_subscription(stack, deployment)
    entra = stack.provider("azuread", "entra", tenant_id=deployment.account.entra_tenant_id)
    group = stack.add(
        "azurerm_resource_group",
        "group",
        provider=azure,
        prevent_destroy=deployment.settings.locks,
        name=deployment.name(ResourceKind.RESOURCE_GROUP),
        location=deployment.settings.region,
        tags=deployment.tags(),
    )
    logs = log_workspace(stack, group, deployment=deployment, provider=azure)
    net = network(stack, group, deployment=deployment, provider=azure)
    keys = encryption(
        stack,
        group,
        deployment=deployment,
        network=net,
        provider=azure,
        entra=entra,
    )
    lake = lake_storage(stack, group, deployment=deployment, network=net, encryption=keys, provider=azure)
    workspace = databricks_workspace(
        stack, group, deployment=deployment, network=net, storage=lake, encryption=keys, provider=azure
    )
    _budget(stack, [group.attribute("name"), managed_group(deployment)], deployment, azure)
    insights = application_insights(stack, group, logs, deployment=deployment, network=net, provider=azure)
    if insights is not None:
        alert_rules(stack, group, logs, deployment=deployment, provider=azure, after=insights.component)
        telemetry_workbook(stack, group, logs, deployment=deployment, provider=azure)
        stack.output(CONNECTION, insights.connection)
        stack.output(CONNECTOR, insights.connector.id)
    diagnose_everything(stack, logs, deployment=deployment, provider=azure)
    if deployment.settings.locks:
        _lock(stack, [lake.account, keys.vault, workspace, logs], deployment, azure)
    # Whoever applies the stack is compared with it before an apply.
    stack.output("deployer", stack.reading(account, f"runner_{deployment.environment}"))
    stack.output("workspace_url", f"https://{workspace.attribute('workspace_url')}")
    stack.output("workspace_id", workspace.attribute("workspace_id"))
    stack.output("workspace_resource_id", workspace.id)
    stack.output("connector_id", lake.connector.id)
    stack.output(WORKSPACE_STORAGE, workspace_storage_id(workspace, deployment))
    stack.output("lake_url", lake.url)
    stack.output(LAKE, lake.account.id)
    stack.output("vault_id", keys.vault.id)
    stack.output("vault_uri", keys.vault.attribute("vault_uri"))
    stack.output(GROUP, group.attribute("name"))
    stack.output(ENDPOINT_SUBNET, net.endpoint_subnet.id)
    for service in SERVICES:
        stack.output(zone_output(service), net.zones[service])
    return stack


def _lock(stack: Stack, holding_data: list[Resource], deployment: Deployment, provider: Provider) -> None:
    """Let Azure itself refuse to delete resources with data."""
    for resource in holding_data:
        label = logical_id(resource.type.removeprefix("azurerm_"), resource.name)
        stack.add(
            "azurerm_management_lock",
            label,
            provider=provider,
            name=deployment.name(ResourceKind.LOCK, label),
            scope=resource.id,
            lock_level="CanNotDelete",
            notes="Holds data. Remove the lock in the environment's settings first.",
        )


def _budget(stack: Stack, groups: list[str], deployment: Deployment, provider: Provider) -> None:
    """Add the budget of both resource groups: the machines of clusters are in the one that the workspace manages.

    Source: https://learn.microsoft.com/en-us/azure/databricks/getting-started/high-level-architecture.
    """
    budget = deployment.settings.budget
    stack.add(
        "azurerm_consumption_budget_subscription",
        "budget",
        provider=provider,
        name=deployment.name(ResourceKind.BUDGET),
        subscription_id=f"/subscriptions/{deployment.settings.subscription_id}",
        filter={"dimension": [{"name": "ResourceGroupName", "values": groups}]},
        amount=budget.monthly,
        time_grain="Monthly",
        time_period={"start_date": f"{budget.first_month}-01T00:00:00Z"},
        notification=[
            {"operator": "GreaterThanOrEqualTo", "threshold": percent, "contact_emails": list(budget.notify)}
            for percent in WARNING_PERCENT
        ],
    )
