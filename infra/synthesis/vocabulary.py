"""The closed vocabularies: which argument of which resource allows only the words of which enum.

The providers do not check such words, so the API would refuse a wrong one in the middle of an apply. Here it is refused
before a file is written. Arguments that are not listed are free text.
"""

import functools
import importlib
from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Any

from ml.spec.errors import DeclarationError

VOCABULARIES: Mapping[str, Mapping[str, str]] = {
    "databricks_catalog": {"isolation_mode": "catalog.CatalogIsolationMode"},
    "databricks_storage_credential": {"isolation_mode": "catalog.IsolationMode"},
    "databricks_credential": {"isolation_mode": "catalog.IsolationMode", "purpose": "catalog.CredentialPurpose"},
    "databricks_external_location": {"isolation_mode": "catalog.IsolationMode"},
    "databricks_workspace_binding": {"binding_type": "catalog.WorkspaceBindingBindingType"},
    "databricks_volume": {"volume_type": "catalog.VolumeType"},
    "databricks_grants": {"grant.privileges": "catalog.Privilege"},
    "databricks_permissions": {"access_control.permission_level": "iam.PermissionLevel"},
    "databricks_mws_permission_assignment": {"permissions": "iam.WorkspacePermission"},
    "databricks_secret_acl": {"permission": "workspace.AclPermission"},
    "databricks_cluster": {"data_security_mode": "compute.DataSecurityMode"},
    "databricks_sql_endpoint": {"warehouse_type": "sql.CreateWarehouseRequestWarehouseType"},
    "databricks_ip_access_list": {"list_type": "settings.ListType"},
    "databricks_notebook": {"language": "workspace.Language", "format": "workspace.ExportFormat"},
    "databricks_alert_v2": {
        "evaluation.comparison_operator": "sql.ComparisonOperator",
        "evaluation.empty_result_state": "sql.AlertEvaluationState",
        "schedule.pause_status": "jobs.PauseStatus",
    },
    "databricks_model_serving": {
        "ai_gateway.rate_limits.key": "serving.AiGatewayRateLimitKey",
        "ai_gateway.rate_limits.renewal_period": "serving.AiGatewayRateLimitRenewalPeriod",
    },
    "databricks_job": {
        "schedule.pause_status": "jobs.PauseStatus",
        "continuous.pause_status": "jobs.PauseStatus",
        "continuous.task_retry_mode": "jobs.TaskRetryMode",
        "health.rules.metric": "jobs.JobsHealthMetric",
        "health.rules.op": "jobs.JobsHealthOperator",
        "task.run_if": "jobs.RunIf",
        "task.condition_task.op": "jobs.ConditionTaskOp",
        "job_cluster.new_cluster.data_security_mode": "compute.DataSecurityMode",
    },
}
"""By type of resource and path of the argument, the enum in `databricks.sdk.service`: a text, so that no SDK is loaded."""


def require_known_words(resource_type: str, arguments: Mapping[str, Any], where: str) -> None:
    """Raise if an argument with a closed vocabulary has another word.

    Raises
    ------
    DeclarationError
        Naming the argument, the word and the words that exist.
    """
    for path, enum in VOCABULARIES.get(resource_type, {}).items():
        allowed = words_of(enum)
        for value in _values_at(arguments, path.split(".")):
            if value not in allowed:
                raise DeclarationError(f"{where}: {path} is {value!r}. Allowed: {', '.join(sorted(allowed))}.")


@functools.cache
def words_of(enum: str) -> frozenset[str]:
    """Return the words of one of the SDK's enums, named as ``module.Class`` below `databricks.sdk.service`."""
    module, _, name = enum.partition(".")
    found: type[Enum] = getattr(importlib.import_module(f"databricks.sdk.service.{module}"), name)
    return frozenset(str(word.value) for word in found)


def _values_at(node: Any, path: list[str]) -> Iterator[Any]:
    """Yield every value at a dotted path, also within lists."""
    if isinstance(node, list | tuple):
        for item in node:
            yield from _values_at(item, path)
    elif not path:
        yield node
    elif isinstance(node, Mapping) and node.get(path[0]) is not None:
        yield from _values_at(node[path[0]], path[1:])
