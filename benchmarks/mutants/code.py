"""Mutants of the code that makes stacks: one text of one module replaced, in a copy of the tree with its own process."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROOMS = ("infra", "pipelines", "ml")
PROGRAM = """
import json
from infra.constructs.release import Release
from infra.checks.registry import findings
from infra.config.checks import load_settings
from infra.graph.declared import as_synthesized
from infra.stacks.estate import stacks
from pipelines.declarations.registry import use_cases
release = Release(commit="0" * 40, wheel="x.whl", wheel_path="dist/x.whl", wheel_source="dist/x.whl", sha256="ab" * 32,
                  requirements_source="requirements/job.txt", requirements_sha256="cd" * 32)
settings, declared = load_settings(), use_cases()
made = as_synthesized(stacks(settings, declared, release))
print(json.dumps(sorted({found.check for found in findings(made, settings, declared)})))
"""


@dataclass(frozen=True, kw_only=True)
class CodeChange:
    """One text of one module and what takes its place."""

    name: str
    module: str
    old: str
    new: str


def _change(name: str, module: str, old: str, new: str) -> CodeChange:
    return CodeChange(name=name, module=f"infra/{module}.py", old=old, new=new)


CHANGES: tuple[CodeChange, ...] = (
    _change("operate reads every layer", "permissions/access_levels", "            schemas=_EXPLANATION,\n            models=_OBSERVE.models,",
            "            schemas=_OBSERVE.schemas,\n            models=_OBSERVE.models,"),
    _change("administer gets MANAGE", "permissions/access_levels", "frozenset({Privilege.BROWSE, Privilege.USE_CATALOG})",
            "frozenset({Privilege.BROWSE, Privilege.USE_CATALOG, Privilege.MANAGE})"),
    _change("operate is workspace admin", "permissions/access_levels",
            "        Access.OPERATE: Rights(\n            workspace=_OBSERVE.workspace,",
            "        Access.OPERATE: Rights(\n            workspace=WorkspacePermission.ADMIN,"),
    _change("operate manages jobs", "permissions/access_levels", "{**_SEE, Object.JOB: PermissionLevel.CAN_MANAGE_RUN, Object.ENDPOINT",
            "{**_SEE, Object.JOB: PermissionLevel.CAN_MANAGE, Object.ENDPOINT"),
    _change("no hardening", "stacks/workspace", "    hardening(workspace, catalog_name=catalog.name)\n", ""),
    _change("no restrictions", "stacks/environment_account", "    restrictions(stack, after=members, provider=in_workspace)\n", ""),
    _change("tokens are allowed", "constructs/workspace/hardening", '"enableTokensConfig": "false"', '"enableTokensConfig": "true"'),
    _change("serverless egress is open", "stacks/account", "Egress.RESTRICTED: RestrictionMode.RESTRICTED_ACCESS",
            "Egress.RESTRICTED: RestrictionMode.FULL_ACCESS"),
    _change("policies without isolation", "constructs/workspace/cluster_policies", '"data_security_mode": _fixed(mode.value)',
            '"data_security_mode": _fixed("NONE")'),
    _change("policies allow scripts", "constructs/workspace/cluster_policies",
            '        "init_scripts.*.volumes.destination": {"type": "forbidden"},\n', ""),
    _change("one identity for all jobs", "stacks/workspace",
            'job_principal=stack.reading(account, f"runner_{deployment.environment}")', 'job_principal=stack.reading(account, "runner_dev")'),
    _change("shared keys", "constructs/azure/lake_storage", "shared_access_key_enabled=False", "shared_access_key_enabled=True"),
    _change("open storage", "constructs/azure/lake_storage", '"default_action": "Deny"', '"default_action": "Allow"'),
    _change("a vault that can be purged", "constructs/azure/encryption", "purge_protection_enabled=True", "purge_protection_enabled=False"),
    _change("machines with addresses", "constructs/azure/databricks_workspace", '"no_public_ip": True', '"no_public_ip": False'),
    _change("an open catalog", "constructs/workspace/catalog", "CatalogIsolationMode.ISOLATED", "CatalogIsolationMode.OPEN"),
    _change("bindings that write", "constructs/workspace/catalog", "BINDING_TYPE_READ_ONLY", "BINDING_TYPE_READ_WRITE"),
    _change("everybody reads releases", "constructs/workspace/catalog", "volume_grants((), \"\", jobs)",
            'volume_grants((), "", jobs), Grant(principal="account users", privileges=frozenset({Privilege.READ_VOLUME}))'),
    _change("the wheel without its hash", "constructs/workspace/catalog", "preconditions=[only_this] if release.sha256 else []", "preconditions=[]"),
    _change("no federation subject", "config/pipeline_names", 'f"sc://{devops.organisation}/{devops.project}/{place(connection)}"',
            'f"sc://{devops.organisation}/{devops.project}/*"'),
    _change("endpoints without approval", "constructs/azure/openings", '"is_manual_connection": True', '"is_manual_connection": False'),
    _change("no locks", "stacks/platform", "    if deployment.settings.locks:\n", "    if False:\n"),
    _change("logs of errors alone", "constructs/azure/observability", '"allLogs"', '"audit"'),
    _change("the internet enters", "constructs/azure/security_groups",
            '_rule("deny-internet-inbound", "Inbound", "Deny", LAST_PRIORITY, source="Internet")',
            '_rule("deny-internet-inbound", "Inbound", "Allow", LAST_PRIORITY, source="Internet")'),
)  # fmt: skip


def stopped(changes: tuple[CodeChange, ...], folder: Path) -> Iterator[tuple[CodeChange, tuple[str, ...]]]:
    """Yield each change with the checks that stop it; ``error`` where the changed code makes no stacks.

    Raises
    ------
    LookupError
        If a module no longer has the text of a change.
    """
    for room in ROOMS:
        shutil.copytree(ROOT / room, folder / room, ignore=shutil.ignore_patterns("__pycache__"))
    for change in changes:
        path = folder / change.module
        text = path.read_text(encoding="utf-8")
        if change.old not in text:
            raise LookupError(
                f"{change.name}: {change.module} no longer has {change.old!r}; bring the mutant up to date."
            )
        path.write_text(text.replace(change.old, change.new), encoding="utf-8")
        environment = {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run(  # noqa: S603 -- our own program
            [sys.executable, "-c", PROGRAM], cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
        path.write_text(text, encoding="utf-8")
        yield change, tuple(json.loads(done.stdout)) if done.returncode == 0 else ("error",)
