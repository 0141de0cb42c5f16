"""Which way a value has changed: looser or tighter, for every argument whose values have an order.

The order is that of what the value allows: less exposure, fewer destinations, longer retention, stronger encryption and
smaller limits are tighter. A value without an order has no direction.
"""

import re
from collections.abc import Callable, Sequence
from enum import StrEnum
from functools import lru_cache
from typing import Any


class Direction(StrEnum):
    """The direction of a change."""

    LOOSENED = "loosened"
    TIGHTENED = "tightened"
    NEITHER = "neither"


Order = Callable[[Any, Any], Direction]
"""Returns the direction from a value before to one after."""


def direction_of(kind: str, path: str, before: Any, after: Any) -> Direction:
    """Return the direction of one value's change.

    Parameters
    ----------
    kind
        The type of the resource.
    path
        As `infra.review.values` gives it.
    before, after
        None where the argument is not set.
    """
    order = _order_of(kind, path)
    return Direction.NEITHER if order is None else order(before, after)


@lru_cache(maxsize=100_000)
def _order_of(kind: str, path: str) -> Order | None:
    """Return the order of a place; many resources have the same places."""
    fitting = (order for pattern, place, order in ORDERS if re.fullmatch(pattern, kind) and re.search(place, path))
    return next(fitting, None)


def _of(tighter: bool, looser: bool) -> Direction:
    if tighter == looser:
        return Direction.NEITHER
    return Direction.TIGHTENED if tighter else Direction.LOOSENED


def ranked(*words: str) -> Order:
    """Return the order of words, the loosest first; a word that is not among them, and none, has no place."""
    places = {word.lower(): place for place, word in enumerate(words)}

    def order(before: Any, after: Any) -> Direction:
        old, new = places.get(str(before).lower()), places.get(str(after).lower())
        if old is None and new is None:
            return Direction.NEITHER
        if old is None or new is None:  # set or taken away: the tightest value guards, any other one does not
            known = new if old is None else old
            guards = known == len(places) - 1
            return _of(tighter=guards and old is None, looser=guards and new is None)
        return _of(tighter=new > old, looser=new < old)

    return order


ON, OFF = ranked("false", "true"), ranked("true", "false")
"""Tighter when it is on, and when it is off."""


def _number(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def higher(before: Any, after: Any) -> Direction:
    """Return the direction where a higher number is tighter, and none at all the loosest."""
    old, new = _number(before), _number(after)
    low = float("-inf")
    return _of(tighter=(low if new is None else new) > (low if old is None else old),
               looser=(low if new is None else new) < (low if old is None else old))  # fmt: skip


def lower(before: Any, after: Any) -> Direction:
    """Return the direction where a lower number is tighter, and none at all the loosest."""
    old, new = _number(before), _number(after)
    top = float("inf")
    return _of(tighter=(top if new is None else new) < (top if old is None else old),
               looser=(top if new is None else new) > (top if old is None else old))  # fmt: skip


def lower_and_zero_is_none(before: Any, after: Any) -> Direction:
    """Return the direction where a lower number is tighter and 0 is no limit."""
    return lower(None if _number(before) == 0 else before, None if _number(after) == 0 else after)


def fewer(before: Any, after: Any) -> Direction:
    """Return the direction where fewer entries are tighter; a list that gains an entry is looser, whatever it loses."""
    old, new = _entries(before), _entries(after)
    return _of(tighter=new < old, looser=bool(new - old))


def _entries(value: Any) -> set[str]:
    if value is None:
        return set()
    return (
        {str(entry) for entry in value} if isinstance(value, Sequence) and not isinstance(value, str) else {str(value)}
    )


def more(before: Any, after: Any) -> Direction:
    """Return the direction where more entries are tighter, as of a list of what is recorded."""
    return {Direction.LOOSENED: Direction.TIGHTENED, Direction.TIGHTENED: Direction.LOOSENED}.get(
        fewer(before, after), Direction.NEITHER
    )


def allowed(before: Any, after: Any) -> Direction:
    """Return the direction of a list of allowed values: none at all allows everything."""
    if before is None or after is None:
        return _of(tighter=before is None and after is not None, looser=after is None and before is not None)
    return fewer(before, after)


def _argument(*names: str) -> str:
    """Return the pattern of a path that ends with one of the arguments."""
    return rf"(^|\.)({'|'.join(names)})$"


ORDERS: tuple[tuple[str, str, Order], ...] = (
    # Cluster policies: https://learn.microsoft.com/azure/databricks/admin/clusters/policy-definition
    ("databricks_cluster_policy", r"^definition\..*\.type$",
     ranked("unlimited", "regex", "blocklist", "range", "allowlist", "fixed", "forbidden")),
    ("databricks_cluster_policy", r"^definition\..*\.values$", allowed),
    ("databricks_cluster_policy", r"^definition\..*\.maxValue$", lower),
    ("databricks_cluster_policy", r"^definition\..*\.minValue$", higher),
    ("databricks_cluster_policy", r"^definition\.autotermination_minutes\.value$", lower_and_zero_is_none),
    ("databricks_cluster_policy", r"^definition\.data_security_mode\.value$",
     ranked("NONE", "LEGACY_SINGLE_USER", "LEGACY_TABLE_ACL", "USER_ISOLATION", "SINGLE_USER")),
    ("databricks_cluster_policy", r"^max_clusters_per_user$", lower),
    # Exposure.
    (".*", _argument("public_network_access_enabled", "shared_access_key_enabled", "allow_nested_items_to_be_public",
                     "sftp_enabled", "local_user_enabled", "cross_tenant_replication_enabled",
                     "local_authentication_enabled", "internet_ingestion_enabled", "internet_query_enabled"), OFF),
    (".*", _argument("public_network_access"), ranked("Enabled", "SecuredByPerimeter", "Disabled")),
    ("azurerm_monitor_private_link_scope", r"^(ingestion|query)_access_mode$", ranked("Open", "PrivateOnly")),
    ("azurerm_monitor_scheduled_query_rules_alert_v2", r"^criteria(\[.*\])?\.threshold$", lower),
    (".*", _argument("local_authentication_disabled"), ON),
    (".*", _argument("no_public_ip", "https_traffic_only_enabled", "rbac_authorization_enabled",
                     "default_to_oauth_authentication"), ON),
    (".*", _argument("default_action"), ranked("Allow", "Deny")),
    (".*", _argument("ip_rules", "ip_addresses", "ip_ranges", "virtual_network_subnet_ids", "bypass",
                     "source_address_prefix(es)?", "destination_address_prefix(es)?", "destination_port_ranges?"), fewer),
    ("azurerm_network_security_rule", r"^access$", ranked("Allow", "Deny")),
    ("databricks_(catalog|external_location|storage_credential|credential)", r"^isolation_mode$",
     ranked("OPEN", "ISOLATION_MODE_OPEN", "ISOLATED", "ISOLATION_MODE_ISOLATED")),
    ("databricks_workspace_binding", r"^binding_type$", ranked("BINDING_TYPE_READ_WRITE", "BINDING_TYPE_READ_ONLY")),
    ("databricks_(cluster|job)", _argument("data_security_mode"), ranked("NONE", "USER_ISOLATION", "SINGLE_USER")),
    ("databricks_external_location", r"^read_only$", ON),
    # Egress: https://learn.microsoft.com/azure/databricks/security/network/serverless-network-security/network-policies
    (".*", _argument("restriction_mode"), ranked("FULL_ACCESS", "RESTRICTED_ACCESS")),
    (".*", r"(^|\.)allowed_(internet|storage)_destinations(\[.*\])?(\.|$)", fewer),
    (".*", _argument("enforcement_mode"), ranked("DRY_RUN", "ENFORCED")),
    # Hardening of a workspace: https://learn.microsoft.com/azure/databricks/admin/workspace-settings/
    ("databricks_workspace_conf", r"^custom_config\.(enableIpAccessLists|enable-X-.*|enforce.*)$", ON),
    ("databricks_workspace_conf", r"^custom_config\.maxTokenLifetimeDays$", lower_and_zero_is_none),
    ("databricks_workspace_conf", r"^custom_config\.enable.*$", OFF),
    ("databricks_(disable_legacy_.*|enhanced_security_.*|compliance_.*|automatic_cluster_update_.*)_setting",
     _argument("value", "is_enabled", "enabled"), ON),
    ("databricks_restrict_workspace_admins_setting", r"status$", ranked("ALLOW_ALL", "RESTRICT_TOKENS_AND_JOB_RUN_AS")),
    # Retention and protection.
    (".*", _argument("retention_in_days", "soft_delete_retention_days", r"(container_)?delete_retention_policy\.days",
                     r"retention_policy\.days"), higher),
    (".*", _argument("purge_protection_enabled", "soft_delete_enabled", "versioning_enabled", r"lifecycle\.prevent_destroy"),
     ON),
    (".*", _argument("force_destroy"), OFF),
    ("azurerm_management_lock", r"^lock_level$", ranked("CanNotDelete", "ReadOnly")),
    ("azurerm_monitor_diagnostic_setting", r"enabled_log(\[.*\])?\.category(_group)?$", more),
    # Encryption.
    (".*", _argument("min_tls_version", "minimum_tls_version"), ranked("TLS1_0", "TLS1_1", "TLS1_2", "TLS1_3")),
    (".*", _argument("infrastructure_encryption_enabled", "customer_managed_key_enabled", "encryption_at_host_enabled",
                     "enable_local_disk_encryption"), ON),
    (".*", _argument("key_size"), higher),
    # Sizes and limits; 0 is no limit at all for those of the first line.
    (".*", _argument("timeout_seconds", "autotermination_minutes", "auto_stop_mins"), lower_and_zero_is_none),
    (".*", _argument("max_workers", "num_workers", "max_capacity", "max_num_clusters", "max_concurrent_runs", "calls",
                     "tokens", "amount", "read_replica_count"), lower),
    ("databricks_online_store", r"^capacity$", ranked("CU_8", "CU_4", "CU_2", "CU_1")),
    (".*", _argument("allow_cluster_create", "allow_instance_pool_create", "workspace_access", "databricks_sql_access"),
     OFF),
)  # fmt: skip
"""Resource types, paths and the order of their values; the first that fits counts."""
