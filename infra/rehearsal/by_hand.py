"""What the guide does by hand: stacks are deployed, interrupted, planned again and destroyed, each by its identity."""

import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from infra.config.stack_names import ACCOUNT
from infra.rehearsal.bootstrap import RehearsalError, run_as
from infra.rehearsal.rehearsal import Rehearsal

PATIENCE = 600
"""Seconds until the first objects of a stack must be there."""
WORKSPACE, PLATFORM, PART = "{}-workspace", "{}-platform", "{}-account"


@dataclass(frozen=True, kw_only=True)
class ByHand:
    """Deployments by hand in a rehearsal.

    Parameters
    ----------
    cdktf
        The cdktf command line; None for the program that it would run as Terraform.
    """

    rehearsal: Rehearsal
    cdktf: str | None

    def deploy(self, stack: str, identity: str) -> None:
        """Deploy a stack."""
        how = "cdktf deploy" if self.cdktf else "the guarded Terraform that cdktf deploy runs"
        with self.rehearsal.step(f"deploy {stack} ({how})", identity) as found:
            self._synthesize()
            if self.cdktf:
                words = [
                    self.cdktf,
                    "deploy",
                    stack,
                    "--auto-approve",
                    "--ignore-missing-stack-dependencies",
                    "--skip-provider-lock",
                ]
                self.rehearsal.run(identity, words, TERRAFORM_BINARY_NAME=self._guarded, CI="1")
            else:
                self._terraform(stack, identity, "init", "-input=false")
                self._terraform(stack, identity, "apply", "-auto-approve", "-input=false")
            found.append("applied")

    def deploy_what_is_read_by(self, environment: str) -> None:
        """Deploy the platforms of the environments whose data an environment reads, if they take part.

        The environment's part of the account looks them up.
        """
        for read in self.rehearsal.settings.environments[environment].reads:
            if read in self.rehearsal.environments:
                self.deploy(PLATFORM.format(read), read)

    def deploy_environment(self, environment: str) -> None:
        """Deploy the three stacks of an environment, as the guide does it."""
        self.deploy(PLATFORM.format(environment), environment)
        self.deploy(PART.format(environment), ACCOUNT)
        self.deploy(WORKSPACE.format(environment), environment)

    def destroy(self, environment: str) -> None:
        """Destroy an environment, in the opposite order of its deployment."""
        for kind, identity in ((WORKSPACE, environment), (PART, ACCOUNT), (PLATFORM, environment)):
            stack = kind.format(environment)
            with self.rehearsal.step(f"destroy {stack}", identity):
                self._terraform(stack, identity, "init", "-input=false")
                self._terraform(stack, identity, "destroy", "-auto-approve", "-input=false")

    def kill_in_the_middle(self, stack: str, identity: str) -> None:
        """Kill the apply of a stack once it has created something, as the end of an agent does."""
        with self.rehearsal.step(f"kill the apply of {stack} in the middle", identity) as found:
            self._terraform(stack, identity, "init", "-input=false")
            process = subprocess.Popen(  # noqa: S603 -- our own program
                [self._guarded, "apply", "-auto-approve", "-input=false"], cwd=self._folder(stack),
                env=self.rehearsal.variables(identity), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )  # fmt: skip
            begun = time.monotonic()
            while not self._has_catalog() and process.poll() is None and time.monotonic() - begun < PATIENCE:
                time.sleep(0.2)
            process.send_signal(signal.SIGTERM)
            code = process.wait()
            if code == 0:
                raise RehearsalError(f"the apply of {stack} had ended before it was killed")
            found.append(f"ended with {code} after the first objects were there")

    def lose_record(self, stack: str, identity: str, address: str) -> None:
        """Let the state of a stack forget an object, as a machine does that is lost before Terraform has recorded it."""
        with self.rehearsal.step(f"lose the record of {address} in {stack}", identity) as found:
            self._terraform(stack, identity, "state", "rm", address)
            found.append("the object is there, and no state knows it")

    def continue_deployment(self, stack: str, identity: str) -> None:
        """Deploy a stack whose apply was killed: as it is or, where that is refused, after the commands that the refusal prints.

        Raises
        ------
        RehearsalError
            If it is refused for another reason than a creation that was cut off.
        """
        commands = list[str]()
        with self.rehearsal.step(f"deploy {stack} again", identity) as found:
            try:
                self._terraform(stack, identity, "init", "-input=false")
                self._terraform(stack, identity, "apply", "-auto-approve", "-input=false")
            except RehearsalError as refused:
                commands = printed_commands(str(refused))
                if not commands:
                    raise
                cut = "was cut off" if "untaint" in commands[0] else "was not recorded"
                found.append(f"refused: the creation of {len(commands)} with data {cut}")
            else:
                found.append("applied")
        if commands:
            with self.rehearsal.step("keep what was created, as the refusal says", identity) as found:
                for command in commands:
                    self.rehearsal.run(identity, shlex.split(command))
                    found.append(command.rpartition(" ")[2])
            self.deploy(stack, identity)

    def expect_no_changes(self, stack: str, identity: str) -> None:
        """Plan a stack that was applied again: there must be nothing to change."""
        with self.rehearsal.step(f"plan {stack} again", identity) as found:
            # Exit code 2, which is an error here, means that there are changes.
            self._terraform(stack, identity, "plan", "-detailed-exitcode", "-input=false")
            found.append("no changes")

    @property
    def _guarded(self) -> str:
        return str(self.rehearsal.tree / "infra" / "terraform_cli" / "guarded")

    def _folder(self, stack: str) -> Path:
        return self.rehearsal.tree / "cdktf.out" / "stacks" / stack

    def _terraform(self, stack: str, identity: str, *words: str) -> None:
        site, principal = self.rehearsal.site, self.rehearsal.principal(identity)
        run_as(site, principal, [self._guarded, *words], self._folder(stack))

    def _synthesize(self) -> None:
        if not (self.rehearsal.tree / "cdktf.out").exists():
            self.rehearsal.run("", [sys.executable, "-m", "infra", "wheel"])
            self.rehearsal.run("", [sys.executable, "-m", "infra", "synth"])

    def _has_catalog(self) -> bool:
        stores = self.rehearsal.site.cloud.world.stores
        return any(kind == "catalog" and bool(stores[where, kind]) for where, kind in list(stores))


def cdktf_program(folder: Path | None) -> str | None:
    """Return the cdktf command line of a folder with its packages, or None without a folder.

    Raises
    ------
    RehearsalError
        If it is not there.
    """
    if folder is None:
        return None
    found = shutil.which("cdktf", path=str(folder.resolve() / "node_modules" / ".bin"))
    if found is None:
        raise RehearsalError(
            f"--cdktf {folder}: it has no node_modules/.bin/cdktf; run `npm ci` in a folder with this repository's "
            "package.json and package-lock.json."
        )
    return found


def printed_commands(refusal: str) -> list[str]:
    """Return the commands that a refusal prints for a creation that was cut off, each alone, as a shell takes them."""
    printed = re.findall(r"`(terraform -chdir=[^`]+)`", refusal)
    commands = [command for line in printed for command in line.split(" && ")]
    return [one for one in commands if shlex.split(one)[2:3] in (["untaint"], ["import"])]
