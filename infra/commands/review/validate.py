"""Run Terraform's own validation on every synthesized stack.

Example
-------
  python -m infra validate --offline
"""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from infra.commands.options import OUT, Offline, SynthesizedFolder
from infra.offline.runs import NOT_CHECKED
from infra.offline.terraform import offline as prepared_offline
from infra.terraform_cli.driver import Terraform, with_real_providers
from infra.terraform_cli.plans import all_at_once
from infra.terraform_cli.synthesized import read_stacks


def run(out: SynthesizedFolder = OUT, offline: Offline = False) -> int:
    """Validate; 1 if any stack has an error."""
    stacks = read_stacks(out)
    with tempfile.TemporaryDirectory() as folder:
        if offline:
            runs = prepared_offline(stacks, Path(folder))
        else:
            runs = {name: with_real_providers(stack) for name, stack in stacks.items()}
        found = all_at_once(runs.values(), _init_and_validate)
    for name, diagnostics in zip(runs, found, strict=True):
        print(f"{name}: {'; '.join(sorted({d['severity'] for d in diagnostics})) or 'valid'}")
        for diagnostic in diagnostics:
            print(f"  {_sentence(diagnostic)}")
    if offline:
        print(NOT_CHECKED)
    return int(any(d["severity"] == "error" for diagnostics in found for d in diagnostics))


def _init_and_validate(terraform: Terraform) -> list[dict[str, Any]]:
    terraform.init(backend=False)
    return terraform.validate()


def _sentence(diagnostic: Mapping[str, Any]) -> str:
    snippet = diagnostic.get("snippet") or {}
    where = f" in {snippet['context']}" if snippet.get("context") else ""
    detail = " ".join(diagnostic.get("detail", "").split())
    return f"{diagnostic['severity']}: {diagnostic['summary']}{where}. {detail}".rstrip()
