"""What shows and tells how a use case does: its dashboard and its alerts, over the monitoring tables."""

from databricks.sdk.service.iam import PermissionLevel
from databricks.sdk.service.jobs import PauseStatus
from databricks.sdk.service.sql import AlertEvaluationState, ComparisonOperator

from infra.config.model import Schedules
from infra.config.naming import logical_id
from infra.constructs.use_case.dashboards import AlertQuery, alert_queries, monitoring_dashboard
from infra.constructs.use_case.use_case import UseCaseFrame
from infra.constructs.workspace.compute import permit
from infra.permissions.access import Permission, permissions
from infra.permissions.rights import Object
from infra.synthesis.stack import Stack

ALERT_CRON = "0 45 7 * * ?"


def watching(stack: Stack, frame: UseCaseFrame) -> None:
    """Add the dashboard of a use case and its alerts."""
    name, provider = frame.use_case.name, frame.provider
    manage = [Permission(principal=frame.runner, level=PermissionLevel.CAN_MANAGE)]
    dashboard = stack.add(
        "databricks_dashboard",
        logical_id(name),
        provider=provider,
        display_name=f"{name} monitoring",
        parent_path=frame.folder.attribute("path"),
        warehouse_id=frame.shared.warehouse.id,
        serialized_dashboard=monitoring_dashboard(frame.use_case, frame.deployment.environment),
        embed_credentials=False,
    )
    people = permissions(Object.DASHBOARD, frame.deployment.holders, frame.only)
    permit(stack, logical_id("dashboard", name), {"dashboard_id": dashboard.id}, people, manage, provider)
    for query in alert_queries(frame.use_case, frame.deployment.environment):
        alert = _alert(stack, frame, query)
        people = permissions(Object.ALERT, frame.deployment.holders, frame.only)
        label = logical_id("alert", name, query.name)
        permit(stack, label, {"alert_v2_id": alert}, people, manage, provider)


def _alert(stack: Stack, frame: UseCaseFrame, query: AlertQuery) -> str:
    """Add one alert and return its id."""
    jobs = frame.deployment.settings.jobs
    running = jobs.schedules is Schedules.RUNNING
    alert = stack.add(
        "databricks_alert_v2",
        logical_id(frame.use_case.name, query.name),
        provider=frame.provider,
        display_name=f"{frame.use_case.name} {query.name}",
        custom_summary=query.description,
        parent_path=frame.folder.attribute("path"),
        warehouse_id=frame.shared.warehouse.id,
        query_text=query.query,
        run_as={"service_principal_name": frame.runner},
        schedule={
            "quartz_cron_schedule": ALERT_CRON,
            "timezone_id": "UTC",
            "pause_status": (PauseStatus.UNPAUSED if running else PauseStatus.PAUSED).value,
        },
        evaluation={
            "comparison_operator": ComparisonOperator.GREATER_THAN.value,
            "empty_result_state": AlertEvaluationState.OK.value,
            "source": {"name": query.column},
            "threshold": {"value": {"double_value": 0}},
            "notification": {
                "notify_on_ok": True,
                "subscriptions": [{"user_email": address} for address in jobs.notify],
            },
        },
    )
    return alert.id
