"""Three small stacks as cdktf would write them: account, platform and workspace of one environment."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SOURCES = {"databricks": "databricks/databricks", "azurerm": "hashicorp/azurerm"}
VERSIONS = {"databricks": "1.99.0", "azurerm": "4.55.0"}


def settings(output: Path, name: str, *providers: str) -> dict[str, Any]:
    """Return the block ``terraform`` of a stack with local state."""
    return {
        "required_providers": {p: {"source": SOURCES[p], "version": VERSIONS[p]} for p in providers},
        "backend": {"local": {"path": str(output / f"terraform.{name}.tfstate")}},
    }


def account(output: Path) -> dict[str, Any]:
    """Return a stack with a group and a metastore."""
    return {
        "terraform": settings(output, "account", "databricks"),
        "provider": {"databricks": [{"alias": "account", "host": "https://accounts.azuredatabricks.net"}]},
        "resource": {
            "databricks_group": {"engineers": {"provider": "databricks.account", "display_name": "engineers"}},
            "databricks_metastore": {
                "main": {"provider": "databricks.account", "name": "main", "region": "westeurope"}
            },
        },
        "output": {"metastore": {"value": "${databricks_metastore.main.id}", "sensitive": True}},
    }


def platform(output: Path) -> dict[str, Any]:
    """Return a stack that reads the account's state and has blocks, computed lists and two providers."""
    group = "${azurerm_resource_group.main.name}"
    return {
        "terraform": settings(output, "dev-platform", "azurerm", "databricks"),
        "provider": {
            "azurerm": [{"features": [{}], "subscription_id": "0"}],
            "databricks": [{"alias": "account", "host": "https://accounts.azuredatabricks.net"}],
        },
        "data": {
            "terraform_remote_state": {
                "account": {"backend": "local", "config": {"path": str(output / "terraform.account.tfstate")}}
            },
            "azurerm_client_config": {"current": {}},
        },
        "resource": {
            "azurerm_resource_group": {"main": {"name": "rg-dev", "location": "westeurope", "tags": {"team": "a"}}},
            "azurerm_databricks_workspace": {
                "main": {
                    "name": "dbw-dev",
                    "location": "westeurope",
                    "resource_group_name": group,
                    "sku": "premium",
                    "custom_parameters": {"no_public_ip": True},
                }
            },
            "azurerm_databricks_access_connector": {
                "main": {
                    "name": "dbac-dev",
                    "location": "westeurope",
                    "resource_group_name": group,
                    "identity": {"type": "SystemAssigned"},
                }
            },
            "azurerm_role_assignment": {
                "storage": {
                    "scope": "${azurerm_resource_group.main.id}",
                    "role_definition_name": "Storage Blob Data Contributor",
                    "principal_id": "${azurerm_databricks_access_connector.main.identity[0].principal_id}",
                }
            },
            "databricks_metastore_assignment": {
                "main": {
                    "provider": "databricks.account",
                    "metastore_id": "${data.terraform_remote_state.account.outputs.metastore}",
                    "workspace_id": "${azurerm_databricks_workspace.main.workspace_id}",
                }
            },
        },
        "output": {"host": {"value": "${azurerm_databricks_workspace.main.workspace_url}", "sensitive": True}},
    }


def workspace(output: Path) -> dict[str, Any]:
    """Return a stack whose provider is configured from the platform's state."""
    return {
        "terraform": settings(output, "dev-workspace", "databricks"),
        "provider": {"databricks": [{"alias": "dev", "host": "${data.terraform_remote_state.platform.outputs.host}"}]},
        "data": {
            "terraform_remote_state": {
                "platform": {"backend": "local", "config": {"path": str(output / "terraform.dev-platform.tfstate")}}
            }
        },
        "resource": {
            "databricks_catalog": {"dev": {"provider": "databricks.dev", "name": "dev", "isolation_mode": "ISOLATED"}},
            "databricks_schema": {
                "bronze": {
                    "provider": "databricks.dev",
                    "name": "bronze",
                    "catalog_name": "${databricks_catalog.dev.name}",
                }
            },
            "databricks_job": {
                "training": {
                    "provider": "databricks.dev",
                    "name": "training",
                    "task": [
                        {
                            "task_key": "train",
                            "job_cluster_key": "small",
                            "python_wheel_task": {"package_name": "lakehouse", "entry_point": "main"},
                        }
                    ],
                    "job_cluster": [
                        {"job_cluster_key": "small", "new_cluster": {"spark_version": "18", "num_workers": 1}}
                    ],
                }
            },
        },
    }


def write_all(folder: Path) -> Path:
    """Write the three stacks below a folder and return it."""
    write(folder, "account", account(folder))
    write(folder, "dev-platform", platform(folder))
    write(folder, "dev-workspace", workspace(folder))
    return folder


def write(folder: Path, name: str, content: dict[str, Any]) -> None:
    """Write one stack."""
    target = folder / "stacks" / name
    target.mkdir(parents=True, exist_ok=True)
    (target / "cdk.tf.json").write_text(json.dumps(content), encoding="utf-8")


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """The three stacks as deployed from nothing: where they lie, where they ran, and their plans."""

    output: Path
    folder: Path
    plans: dict[str, Any]
