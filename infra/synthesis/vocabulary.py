"""The closed vocabularies: which argument of which resource allows only the words of which enum.

The providers do not check such words, so the API would refuse a wrong one in the middle of an apply. Here it is refused
before a file is written. Arguments that are not listed are free text.
"""

from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Any

from databricks.sdk.service.catalog import CatalogIsolationMode, IsolationMode, Privilege, VolumeType
from databricks.sdk.service.catalog import WorkspaceBindingBindingType as BindingType
from databricks.sdk.service.compute import DataSecurityMode
from databricks.sdk.service.iam import PermissionLevel, WorkspacePermission
from databricks.sdk.service.jobs import ConditionTaskOp, JobsHealthMetric, JobsHealthOperator, PauseStatus, RunIf
from databricks.sdk.service.serving import AiGatewayRateLimitKey, AiGatewayRateLimitRenewalPeriod
from databricks.sdk.service.settings import ListType
from databricks.sdk.service.sql import AlertEvaluationState, ComparisonOperator, CreateWarehouseRequestWarehouseType
from databricks.sdk.service.workspace import AclPermission, ExportFormat, Language

VOCABULARIES: Mapping[str, Mapping[str, type[Enum]]] = {
    "databricks_catalog": {"isolation_mode": CatalogIsolationMode},
    "databricks_storage_credential": {"isolation_mode": IsolationMode},
    "databricks_external_location": {"isolation_mode": IsolationMode},
    "databricks_workspace_binding": {"binding_type": BindingType},
    "databricks_volume": {"volume_type": VolumeType},
    "databricks_grants": {"grant.privileges": Privilege},
    "databricks_permissions": {"access_control.permission_level": PermissionLevel},
    "databricks_mws_permission_assignment": {"permissions": WorkspacePermission},
    "databricks_secret_acl": {"permission": AclPermission},
    "databricks_cluster": {"data_security_mode": DataSecurityMode},
    "databricks_sql_endpoint": {"warehouse_type": CreateWarehouseRequestWarehouseType},
    "databricks_ip_access_list": {"list_type": ListType},
    "databricks_notebook": {"language": Language, "format": ExportFormat},
    "databricks_alert_v2": {
        "evaluation.comparison_operator": ComparisonOperator,
        "evaluation.empty_result_state": AlertEvaluationState,
        "schedule.pause_status": PauseStatus,
    },
    "databricks_model_serving": {
        "ai_gateway.rate_limits.key": AiGatewayRateLimitKey,
        "ai_gateway.rate_limits.renewal_period": AiGatewayRateLimitRenewalPeriod,
    },
    "databricks_job": {
        "schedule.pause_status": PauseStatus,
        "health.rules.metric": JobsHealthMetric,
        "health.rules.op": JobsHealthOperator,
        "task.run_if": RunIf,
        "task.condition_task.op": ConditionTaskOp,
        "job_cluster.new_cluster.data_security_mode": DataSecurityMode,
    },
}


def require_known_words(resource_type: str, arguments: Mapping[str, Any], where: str) -> None:
    """Raise if an argument with a closed vocabulary has another word.

    Raises
    ------
    ValueError
        Naming the argument, the word and the allowed words.
    """
    for path, words in VOCABULARIES.get(resource_type, {}).items():
        allowed = {str(word.value) for word in words}
        for value in _values_at(arguments, path.split(".")):
            if value not in allowed:
                raise ValueError(f"{where}: {path} is {value!r}. Allowed: {', '.join(sorted(allowed))}.")


def _values_at(node: Any, path: list[str]) -> Iterator[Any]:
    """Yield every value at a dotted path, also within lists."""
    if isinstance(node, list | tuple):
        for item in node:
            yield from _values_at(item, path)
    elif not path:
        yield node
    elif isinstance(node, Mapping) and node.get(path[0]) is not None:
        yield from _values_at(node[path[0]], path[1:])
