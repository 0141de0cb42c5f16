"""Checkov's built-in checks over all stacks and offline plans, in one run of the program.

On synthesized JSON its Python checks report a resource without its type (``resource.<name>``). The stacks are therefore
written with one argument per line, so that the reported line identifies the resource.
"""

import importlib.util
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from infra.checks.finding import PolicyFinding, Stacks
from ml.spec.errors import NotPossibleError


class CheckovError(NotPossibleError):
    """Checkov is missing or gave no result."""


def checkov_findings(stacks: Stacks, plans: Mapping[str, Mapping[str, Any]]) -> tuple[PolicyFinding, ...]:
    """Return what Checkov's built-in checks find, each finding once, by resource.

    Parameters
    ----------
    stacks
        The synthesized stacks, for checks of single arguments and of connections between resources.
    plans
        Plans by stack as ``terraform show -json`` gives them, with resolved references; may be empty.

    Raises
    ------
    CheckovError
        If Checkov is not installed, cannot read a file or fails.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lines = {stack.name: _write_stack(folder, stack.name, stack.content) for stack in stacks.values()}
        for stack, plan in plans.items():
            (folder / "plans").mkdir(exist_ok=True)
            (folder / "plans" / f"{stack}.json").write_text(json.dumps(plan, indent=1), encoding="utf-8")
        reports = _run(folder, ["terraform_json", *(["terraform_plan"] if plans else [])])
    found = {_finding(record, lines) for report in reports for record in report["results"]["failed_checks"]}
    return tuple(sorted(found, key=lambda finding: (finding.resource, finding.check)))


def _run(folder: Path, frameworks: list[str]) -> list[dict[str, Any]]:
    if importlib.util.find_spec("checkov") is None:
        raise CheckovError("Checkov is not installed: install the requirements for development.")
    options = ["--skip-download", "--quiet", "--compact", "--soft-fail", "--output", "json"]
    command = [sys.executable, "-m", "checkov.main", "-d", ".", "--framework", *frameworks, *options]
    result = subprocess.run(command, cwd=folder, text=True, capture_output=True, check=False)  # noqa: S603 -- our own arguments
    try:
        reports = json.loads(result.stdout)
    except ValueError:
        raise CheckovError(f"Checkov gave no result:\n{result.stderr or result.stdout}") from None
    reports = reports if isinstance(reports, list) else [reports]
    unread = [path for report in reports for path in report.get("results", {}).get("parsing_errors", [])]
    if unread:
        raise CheckovError(f"Checkov could not read {', '.join(sorted(unread))}.")
    return [report for report in reports if "results" in report]


def _write_stack(folder: Path, stack: str, content: Mapping[str, Any]) -> dict[int, str]:
    """Write one stack and return the first line of each of its resources."""
    text = json.dumps(content, indent=2)
    target = folder / "stacks" / stack / "cdk.tf.json"
    target.parent.mkdir(parents=True)
    target.write_text(text, encoding="utf-8")
    begins, section, kind = {}, "", ""
    for number, line in enumerate(text.splitlines(), start=1):
        if match := re.match(r'^( +)"([^"]+)": \{', line):
            depth, name = len(match[1]), match[2]
            section = name if depth == 2 else section
            kind = name if depth == 4 else kind
            if depth == 6 and section in ("resource", "data"):
                begins[number] = f"{kind}.{name}"
    return begins


def _finding(record: Mapping[str, Any], lines: Mapping[str, Mapping[int, str]]) -> PolicyFinding:
    path = Path(record["file_path"])
    if path.name == "cdk.tf.json":
        stack = path.parent.name
        address = lines[stack].get(record["file_line_range"][0], record["resource"])
    else:
        stack, address = path.stem, record["resource"]
    return PolicyFinding(check=record["check_id"], resource=f"{stack}/{address}", message=f"{record['check_name']}.")
