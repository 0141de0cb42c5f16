"""The dashboard and the alerts of a use case, over its monitoring tables."""

from databricks.sdk.service.iam import PermissionLevel
from databricks.sdk.service.sql import AlertEvaluationState, ComparisonOperator

from infra.constructs.use_case.context import UseCaseContext
from infra.constructs.use_case.dashboards import AlertQuery, alert_queries, monitoring_dashboard
from infra.constructs.use_case.schedules import alert_schedule, pause_status
from infra.permissions.roles import Object
from infra.synthesis.stack import Resource


def dashboard_and_alerts(context: UseCaseContext, folder: Resource) -> None:
    """Add the dashboard of a use case and its alerts."""
    workspace, name = context.workspace, context.use_case.name
    dashboard = workspace.add(
        "databricks_dashboard",
        name,
        display_name=f"{name} monitoring",
        parent_path=folder.attribute("path"),
        warehouse_id=context.compute.warehouse.id,
        serialized_dashboard=monitoring_dashboard(context.use_case, workspace.deployment.environment),
        embed_credentials=False,
    )
    manage = PermissionLevel.CAN_MANAGE
    context.permit(Object.DASHBOARD, "dashboard", name, jobs=manage, dashboard_id=dashboard.id)
    for query in alert_queries(context.use_case, workspace.deployment.environment):
        alert = _alert(context, folder, query)
        context.permit(Object.ALERT, "alert", name, query.name, jobs=manage, alert_v2_id=alert.id)


def _alert(context: UseCaseContext, folder: Resource, query: AlertQuery) -> Resource:
    workspace, name = context.workspace, context.use_case.name
    stated = workspace.deployment.settings.jobs
    return workspace.add(
        "databricks_alert_v2",
        name,
        query.name,
        display_name=f"{name} {query.name}",
        custom_summary=query.description,
        parent_path=folder.attribute("path"),
        warehouse_id=context.compute.warehouse.id,
        query_text=query.query,
        run_as={"service_principal_name": workspace.job_principal},
        schedule=alert_schedule(pause_status(stated.schedules)),
        evaluation={
            "comparison_operator": ComparisonOperator.GREATER_THAN.value,
            "empty_result_state": AlertEvaluationState.OK.value,
            "source": {"name": query.column},
            "threshold": {"value": {"double_value": 0}},
            "notification": {
                "notify_on_ok": True,
                "subscriptions": [{"user_email": address} for address in stated.notify],
            },
        },
    )
