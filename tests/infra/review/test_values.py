"""Values before and after, and the direction of every change that has one."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.review.directions import Direction, direction_of, fewer, higher, lower, more, ranked
from infra.review.values import value_changes

LOOSENED: tuple[tuple[str, dict[str, Any], dict[str, Any], str], ...] = (
    ("azurerm_storage_account", {"public_network_access_enabled": False}, {"public_network_access_enabled": True},
     "public_network_access_enabled: false → true (loosened)"),
    ("azurerm_storage_account", {"network_rules": {"default_action": "Deny"}}, {"network_rules": {"default_action": "Allow"}},
     "network_rules.default_action: Deny → Allow (loosened)"),
    ("azurerm_key_vault", {"network_acls": [{"ip_rules": ["1.2.3.0/24"]}]}, {"network_acls": [{"ip_rules": ["0.0.0.0/1", "1.2.3.0/24"]}]},
     'network_acls.ip_rules: ["1.2.3.0/24"] → ["0.0.0.0/1", "1.2.3.0/24"] (loosened)'),
    ("azurerm_key_vault", {"purge_protection_enabled": True}, {}, "purge_protection_enabled: true → unset (loosened)"),
    ("azurerm_storage_account", {"min_tls_version": "TLS1_2"}, {"min_tls_version": "TLS1_0"},
     "min_tls_version: TLS1_2 → TLS1_0 (loosened)"),
    ("azurerm_log_analytics_workspace", {"retention_in_days": 90}, {"retention_in_days": 30},
     "retention_in_days: 90 → 30 (loosened)"),
    ("databricks_account_network_policy", {"egress": {"network_access": {"restriction_mode": "RESTRICTED_ACCESS"}}},
     {"egress": {"network_access": {"restriction_mode": "FULL_ACCESS"}}},
     "egress.network_access.restriction_mode: RESTRICTED_ACCESS → FULL_ACCESS (loosened)"),
    ("databricks_cluster_policy", {"definition": json.dumps({"spark_version": {"type": "fixed", "value": "a"}})},
     {"definition": json.dumps({"spark_version": {"type": "unlimited"}})},
     "definition.spark_version.type: fixed → unlimited (loosened)"),
    ("databricks_cluster_policy", {"definition": json.dumps({"num_workers": {"type": "range", "maxValue": 4}})},
     {"definition": json.dumps({"num_workers": {"type": "range", "maxValue": 40}})},
     "definition.num_workers.maxValue: 4 → 40 (loosened)"),
    ("databricks_cluster_policy", {"definition": json.dumps({"node_type_id": {"type": "allowlist", "values": ["a"]}})},
     {"definition": json.dumps({"node_type_id": {"type": "allowlist", "values": ["a", "b"]}})},
     'definition.node_type_id.values: ["a"] → ["a", "b"] (loosened)'),
    ("databricks_cluster", {"autotermination_minutes": 30}, {"autotermination_minutes": 0},
     "autotermination_minutes: 30 → 0 (loosened)"),
    ("databricks_catalog", {"isolation_mode": "ISOLATED"}, {"isolation_mode": "OPEN"},
     "isolation_mode: ISOLATED → OPEN (loosened)"),
    ("databricks_schema", {"lifecycle": {"prevent_destroy": True}}, {}, "lifecycle.prevent_destroy: true → unset (loosened)"),
    ("databricks_workspace_conf", {"custom_config": {"enableIpAccessLists": "true"}},
     {"custom_config": {"enableIpAccessLists": "false"}}, "custom_config.enableIpAccessLists: true → false (loosened)"),
    ("databricks_job", {"job_cluster": [{"job_cluster_key": "a", "new_cluster": {"num_workers": 1}}]},
     {"job_cluster": [{"job_cluster_key": "a", "new_cluster": {"num_workers": 9}}]},
     "job_cluster[a].new_cluster.num_workers: 1 → 9 (loosened)"),
)  # fmt: skip


@pytest.mark.parametrize(("kind", "before", "after", "said"), LOOSENED, ids=[said for *_, said in LOOSENED])
def test_a_loosened_value_says_so_and_the_way_back_tightens(
    kind: str, before: dict[str, Any], after: dict[str, Any], said: str
) -> None:
    """In one line with both values; the same change the other way round is tightened."""
    assert said in [change.text for change in value_changes(kind, before, after)]
    path = said.partition(":")[0]
    (back,) = [change for change in value_changes(kind, after, before) if change.path == path]
    assert back.direction is Direction.TIGHTENED


def test_a_value_without_an_order_has_no_direction() -> None:
    """A name is neither looser nor tighter."""
    (change,) = value_changes("databricks_job", {"name": "a"}, {"name": "b"})
    assert (change.text, change.direction) == ("name: a → b", Direction.NEITHER)


def test_an_added_block_does_not_shift_the_others() -> None:
    """Blocks are told apart by their key."""
    one, other = {"task_key": "b", "timeout_seconds": 60}, {"task_key": "a", "timeout_seconds": 90}
    changes = value_changes("databricks_job", {"task": [one]}, {"task": [other, one]})
    assert {change.path for change in changes} == {"task[a].task_key", "task[a].timeout_seconds"}


VALUES = st.one_of(st.none(), st.integers(-3, 3), st.booleans(), st.sampled_from(["a", "b", "c"]))


@given(VALUES, VALUES)
def test_every_order_of_single_values_is_reversed_by_the_way_back(before: Any, after: Any) -> None:
    """What is looser one way is tighter the other; equal values have no direction."""
    opposite = {Direction.LOOSENED: Direction.TIGHTENED, Direction.TIGHTENED: Direction.LOOSENED}
    for order in (ranked("a", "b", "c"), higher, lower):
        there, back = order(before, after), order(after, before)
        assert back is opposite.get(there, Direction.NEITHER)
        assert order(before, before) is Direction.NEITHER


@given(st.sets(st.sampled_from("abcd")), st.sets(st.sampled_from("abcd")))
def test_a_list_that_gains_an_entry_is_looser_whatever_it_loses(before: set[str], after: set[str]) -> None:
    """One that only loses entries is tighter; of what is recorded it is the other way round."""
    expected = Direction.LOOSENED if after - before else Direction.TIGHTENED if before - after else Direction.NEITHER
    assert fewer(sorted(before), sorted(after)) is expected
    assert (more(sorted(before), sorted(after)) is Direction.NEITHER) == (before == after)


def test_the_first_fitting_order_counts() -> None:
    """An order of one type stands before that of all types."""
    assert direction_of("azurerm_network_security_rule", "access", "Deny", "Allow") is Direction.LOOSENED
    assert direction_of("databricks_job", "access", "Deny", "Allow") is Direction.NEITHER
