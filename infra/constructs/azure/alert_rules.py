"""Alert rules of Azure Monitor, one for each alert that a metric declares, and the people who hear of them."""

from collections.abc import Mapping
from urllib.parse import quote

from infra.config.model import AzureDevops
from infra.config.naming import ResourceKind
from infra.constructs.azure.metric_queries import VALUE, alert_query, column
from infra.constructs.deployment import Deployment
from infra.synthesis.stack import Provider, Resource, Stack
from pipelines.declarations.urgency import Severity
from pipelines.telemetry.instruments import INSTRUMENTS, Instrument
from pipelines.telemetry.metric_alerts import Aggregation, MetricAlert

SEVERITIES: Mapping[Severity, int] = {Severity.NOW: 0, Severity.TODAY: 1, Severity.THIS_WEEK: 2}
"""Of Azure Monitor: 0 is critical, 1 an error, 2 a warning
(https://learn.microsoft.com/en-us/azure/azure-monitor/alerts/alerts-overview)."""
SHORT_NAME = 12
"""How long the short name of an action group may be
(https://learn.microsoft.com/en-us/azure/azure-monitor/alerts/action-groups)."""


def alert_rules(
    stack: Stack, group: Resource, logs: Resource, *, deployment: Deployment, provider: Provider, after: Resource
) -> None:
    """Add the action group and a rule for each declared alert.

    Parameters
    ----------
    logs
        The Log Analytics workspace that the rules ask.
    after
        What makes the table of metrics exist there.
    """
    receivers = stack.add(
        "azurerm_monitor_action_group",
        "on_call",
        provider=provider,
        name=deployment.name(ResourceKind.ACTION_GROUP),
        resource_group_name=group.attribute("name"),
        short_name=f"{deployment.account.organisation}{deployment.environment}"[:SHORT_NAME],
        email_receiver=[
            {"name": address, "email_address": address, "use_common_alert_schema": True}
            for address in deployment.settings.jobs.notify
        ],
        tags=deployment.tags(),
    )
    for instrument in INSTRUMENTS:
        for alert in instrument.alerts:
            _rule(stack, group, logs, instrument, alert, receivers, deployment, provider, after)


def _rule(
    stack: Stack, group: Resource, logs: Resource, instrument: Instrument, alert: MetricAlert, receivers: Resource,
    deployment: Deployment, provider: Provider, after: Resource,
) -> None:  # fmt: skip
    """Add one rule; it is resolved by itself once the metric is below its threshold again.

    The query is not tried when the rule is made: before the first run there is no metric
    (https://learn.microsoft.com/en-us/azure/azure-monitor/alerts/alerts-types#log-alerts).
    """
    dimensions = [{"name": column(one), "operator": "Include", "values": ["*"]} for one in alert.split_by]
    stack.add(
        "azurerm_monitor_scheduled_query_rules_alert_v2",
        alert.name,
        provider=provider,
        depends_on=(after,),
        name=deployment.name(ResourceKind.ALERT_RULE, alert.name),
        display_name=f"{deployment.environment}: {alert.words}",
        description=description(alert, instrument, deployment.environment),
        location=deployment.settings.region,
        resource_group_name=group.attribute("name"),
        scopes=[logs.id],
        severity=SEVERITIES[alert.severity],
        window_duration=duration(alert.minutes),
        evaluation_frequency=duration(alert.every_minutes),
        auto_mitigation_enabled=True,
        skip_query_validation=True,
        criteria=[
            {
                "query": alert_query(instrument, alert),
                "metric_measure_column": VALUE,
                "time_aggregation_method": "Maximum",
                "operator": "GreaterThan",
                "threshold": alert.above,
                "dimension": dimensions or None,
                "failing_periods": {
                    "minimum_failing_periods_to_trigger_alert": 1, "number_of_evaluation_periods": 1
                },
            }
        ],
        action={
            "action_groups": [receivers.id],
            "custom_properties": {
                "environment": deployment.environment,
                "owner": alert.owner,
                "first command": alert.command.replace("ENV", deployment.environment),
                "run book": run_book(deployment.account.azure_devops, alert.page),
            },
        },
        tags=deployment.tags(),
    )  # fmt: skip


def description(alert: MetricAlert, instrument: Instrument, environment: str) -> str:
    """Return what the mail of an alert says first: its words, then the threshold."""
    unit = "measurements" if alert.aggregation is Aggregation.COUNT else instrument.unit.strip("{}")
    return (
        f"{environment}: {alert.words}: the {alert.aggregation} of {instrument.name} over {alert.minutes} minutes is above "
        f"{alert.above:g} ({unit})."
    )


def run_book(devops: AzureDevops, page: str) -> str:
    """Return the address of a section of the documentation, in the repository as Azure DevOps shows it."""
    file, _, section = page.partition("#")
    repository = f"https://dev.azure.com/{devops.organisation}/{quote(devops.project)}/_git/{quote(devops.repository)}"
    return f"{repository}?path=/docs/{file}&_a=preview" + (f"&anchor={section}" if section else "")


def duration(minutes: int) -> str:
    """Return minutes as ISO 8601 writes them, in the words that Azure Monitor allows: whole days, hours or minutes."""
    if minutes % 1440 == 0:
        return f"P{minutes // 1440}D"
    return f"PT{minutes // 60}H" if minutes % 60 == 0 else f"PT{minutes}M"
