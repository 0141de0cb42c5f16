"""Terraform as the cdktf command line calls it: TERRAFORM_BINARY_NAME names `infra/terraform_cli/guarded`, which calls this.

`apply` and `destroy` go through the guards of `infra.releases.guarded_apply`; every other command is Terraform's own.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from infra.terraform_cli.driver import Terraform, program
from ml.spec.errors import LakehouseError, RequestError

GUARDED = ("apply", "destroy")
KNOWN = frozenset({"-auto-approve", "-no-color", "-input=false"})
"""The options of `apply` that the cdktf command line passes by default; `-auto-approve` answers the question."""


def main(words: Sequence[str]) -> int:
    """Run Terraform with these arguments in the present folder and return its exit code."""
    here = Path.cwd()
    try:
        if words[:1] and words[0] in GUARDED:
            return _guarded(words, here)
        os.execv(program(), ["terraform", *words])  # noqa: S606 -- our own program, no shell
    except LakehouseError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        return error.exit_code


def _guarded(words: Sequence[str], here: Path) -> int:
    from infra.build.release import current_release
    from infra.commands.release.output import say
    from infra.config.checks import load_settings
    from infra.config.stack_names import identity_of
    from infra.releases.data_loss import VARIABLE, addresses
    from infra.releases.guarded_apply import StackRequest, apply_stack, stack_folder
    from infra.releases.ledger import run_az
    from infra.releases.target import target_of

    stack = stack_folder(here)
    if stack is None:
        raise RequestError(f"{here} is not the folder of a synthesized stack: run `npx cdktf deploy STACK`.")
    foreign = sorted(word for word in words[1:] if word not in KNOWN and not word.startswith("-parallelism="))
    if foreign:
        raise RequestError(
            f"{', '.join(foreign)}: such an apply has no reviewed plan. Allowed are {', '.join(sorted(KNOWN))} and -parallelism."
        )
    out = here.parent.parent
    target = target_of(identity_of(stack), load_settings(), offline_folder=None, folder=out.parent)
    return apply_stack(
        StackRequest(
            command=words[0],
            approved="-auto-approve" in words,
            allow_destroy=addresses(os.environ.get(VARIABLE, "")),
        ),
        Terraform(stack=stack, folder=here, environment=dict(os.environ)),
        target,
        current_release(out=out),
        ask=sys.stdin.readline,
        az=run_az,
        say=say,
    )
