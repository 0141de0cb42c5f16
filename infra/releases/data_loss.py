"""What a plan would destroy that holds data, and whether somebody has named it.

``prevent_destroy`` guards a resource that the stacks still declare. A resource that leaves them is destroyed without a word
(https://developer.hashicorp.com/terraform/language/meta-arguments/lifecycle: "this setting does not prevent the remote
object from being destroyed if the resource block were removed"). The plan knows of both, so the plan is what is judged:
when it is saved, before it is applied, and in a deployment by the cdktf command line.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from infra.terraform_cli.changes import Action, action_of

VARIABLE = "ALLOW_DESTROY"
"""The environment variable with the addresses whose loss is accepted, separated by commas; for pipelines and cdktf."""
TAINTED = "replace_because_tainted"
"""The reason of a replacement (https://developer.hashicorp.com/terraform/internals/json-format#plan-representation)."""
LOST_WITH_DATA = frozenset(
    {
        "azurerm_resource_group", "azurerm_storage_account", "azurerm_storage_container", "azurerm_key_vault",
        "azurerm_key_vault_key", "azurerm_databricks_workspace", "azurerm_log_analytics_workspace", "databricks_metastore",
        "databricks_catalog", "databricks_schema", "databricks_volume", "databricks_external_location",
        "databricks_storage_credential", "databricks_registered_model", "databricks_mlflow_experiment",
        "databricks_secret_scope",
    }
)  # fmt: skip
"""Resource types whose destruction destroys data, or the only way to it."""


@dataclass(frozen=True, kw_only=True)
class DataLoss:
    """One resource with data that a plan destroys.

    Attributes
    ----------
    action
        `Action.DESTROY`, or `Action.REPLACE`: the new resource is empty.
    tainted
        Whether it is replaced because its creation was cut off after its first request, not because somebody changed it.
    """

    stack: str
    address: str
    action: Action
    tainted: bool = False

    @property
    def sentence(self) -> str:
        """What happens to it, for people."""
        what = "would be destroyed" if self.action is Action.DESTROY else "would be destroyed and created again, empty"
        return f"{self.address} of {self.stack} holds data and {what}"

    @property
    def remedy(self) -> str:
        """What to do instead."""
        if not self.tainted:
            return "keep it declared, let a `removed` block forget it"
        command = f"terraform -chdir=cdktf.out/stacks/{self.stack} untaint {self.address}"
        return f"its creation was cut off, so keep what was created with `{command}` and apply again"


def data_losses(plans: Mapping[str, Mapping[str, Any]]) -> tuple[DataLoss, ...]:
    """Return every resource with data that plans destroy or replace, in the order of stacks and addresses.

    Parameters
    ----------
    plans
        By stack, as ``terraform show -json`` gives them. What a ``removed`` block forgets is not destroyed.
    """
    found = []
    for stack, plan in plans.items():
        for resource in plan.get("resource_changes", ()):
            action = action_of(resource["change"]["actions"])
            if action in (Action.DESTROY, Action.REPLACE) and resource.get("type") in LOST_WITH_DATA:
                tainted = resource.get("action_reason") == TAINTED
                found.append(DataLoss(stack=stack, address=resource["address"], action=action, tainted=tainted))
    return tuple(sorted(found, key=lambda loss: (loss.stack, loss.address)))


def unnamed_losses(losses: Collection[DataLoss], allowed: Collection[str]) -> tuple[str, ...]:
    """Return a reason against each loss that nobody has named.

    Parameters
    ----------
    allowed
        The addresses whose loss is accepted. One run of a pipeline plans several stacks, so a name that fits none of them
        is no reason.
    """
    return tuple(
        f"{loss.sentence}: {loss.remedy}, or name it with --allow-destroy "
        f"{loss.address} (in a pipeline or with cdktf: {VARIABLE})."
        for loss in losses
        if loss.address not in allowed
    )


def addresses(text: str) -> tuple[str, ...]:
    """Return the addresses of a text with commas."""
    return tuple(sorted({address.strip() for address in text.split(",") if address.strip()}))
