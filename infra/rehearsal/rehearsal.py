"""The rehearsal itself: its steps in their order, each with who does it, and how it has to end."""

import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from infra.azure_pipelines.played import GOOD, Scenario, StageRun
from infra.azure_pipelines.runs import play
from infra.azure_pipelines.templates import expand
from infra.config.checks import load_settings
from infra.config.loading import Settings
from infra.config.pipeline_names import CONNECTIONS, place
from infra.config.stack_names import ACCOUNT
from infra.devops.desired_state import Rights
from infra.emulated_cloud.prepared import PERSON
from infra.rehearsal.agent import LEFT_OUT, Agent, Done, PipelineRun
from infra.rehearsal.bootstrap import (
    APPLICATION,
    RehearsalError,
    assign_role,
    create_account_identity,
    create_states,
    give_environment_roles,
    object_id,
    run_as,
)
from infra.rehearsal.company import branch, change, commit, lend_packages
from infra.rehearsal.page import Told, page
from infra.rehearsal.people import ask_workspace, statement_of
from infra.rehearsal.site import RehearsalSite
from pipelines.declarations.environment import ENVIRONMENTS

PYTHON, GIT = sys.executable, shutil.which("git") or "git"
RELEASES = "/Volumes/prod/deployment/releases/"
MORE_RIGHTS = (
    "infra/settings/prod.yaml",
    "data_scientist: {groups: [mrd-data-science], access: none}",
    "data_scientist: {groups: [mrd-data-science], access: explain}",
)
"""The file, the text and its change by which a pull request gains a privilege."""
ANOTHER_RELEASE = (
    "pipelines/use_cases/next_visit/__init__.py",
    "Will the household",
    "Of another release: will the household",
)
"""The file, the text and its change by which a release has another wheel, and one use case to try."""
APPROVED_BY_A_PERSON = frozenset({place(ACCOUNT), place(tuple(ENVIRONMENTS)[-1])})
"""The places whose stages wait for an approval."""
USERS = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)


@dataclass(kw_only=True)
class Rehearsal:
    """One rehearsal in one site.

    Parameters
    ----------
    tree
        The repository of the company, on its branch main.
    rights
        The rights of each identity, as `devops` derives them.
    environments
        Those that are connected.
    say
        Takes each line when it is known.
    leaves_out
        Beginnings of commands of the pipelines that are not carried out.
    """

    site: RehearsalSite
    tree: Path
    rights: Rights
    environments: tuple[str, ...]
    say: Callable[[str], None]
    leaves_out: tuple[str, ...] = ()
    told: list[Told] = field(default_factory=list)
    runs: list[PipelineRun] = field(default_factory=list)
    broken: bool = False
    begun: float = field(default_factory=time.monotonic)

    @property
    def settings(self) -> Settings:
        """The settings of the company as they are now."""
        return load_settings(self.tree / "infra" / "settings")

    def principal(self, identity: str) -> str:
        """Return who an identity is: ``account``, an environment, or ``person``."""
        if identity == PERSON.name:
            return PERSON.principal
        name = APPLICATION.format(organisation=self.settings.account.organisation, place=identity)
        return self.site.application(name)

    @contextmanager
    def step(self, what: str, identity: str) -> Iterator[list[str]]:
        """Time a step and tell it; what it finds is added to the list."""
        begun, found = time.monotonic(), list[str]()
        try:
            yield found
        except Exception as error:
            self._tell(what, identity, begun, f"FAILED: {str(error).splitlines()[0] if str(error) else error!r}")
            raise
        self._tell(what, identity, begun, "; ".join(found))

    def _tell(self, what: str, identity: str, begun: float, found: str) -> None:
        self.told.append(Told(step=what, identity=identity, seconds=time.monotonic() - begun, found=found))
        self.say(
            f"{len(self.told):3}  {time.monotonic() - begun:6.1f} s  {identity:14} {what}{f': {found}' if found else ''}"
        )

    # The steps --------------------------------------------------------------------------------------------------------

    def bootstrap(self) -> None:
        """Create the states, and the identity of the account."""
        with self.step("create the storage of the states (infra bootstrap PLACE --apply)", "person") as found:
            found.append(", ".join(create_states(self.site, self.settings, self.tree)))
        with self.step("create the identity of the account, as infra devops does", "person") as found:
            found.append(create_account_identity(self.site, self.settings, self.rights))

    def ask_what_is_missing(self, environment: str) -> None:
        """Run the pre-flight of an environment as the person, and tell what it sums up; most of it is not there yet."""
        with self.step(f"ask what is missing (infra ready {environment})", PERSON.name) as found:
            words = [PYTHON, "-m", "infra", "ready", environment]
            done = subprocess.run(  # noqa: S603 -- our own command
                words, cwd=self.tree, env=self.variables(PERSON.name), text=True, capture_output=True, check=False
            )
            lines = done.stdout.strip().splitlines()
            if done.returncode not in (0, 1, 3) or not lines:
                raise RehearsalError(f"ready ended with {done.returncode}:\n{done.stdout}{done.stderr}")
            found += [*(line.strip() for line in lines if "metastore" in line), lines[-1]]

    def run(self, identity: str, words: list[str], **more: str) -> str:
        """Run a command in the company's repository as an identity, or as nobody, and return what it printed."""
        return run_as(self.site, self.principal(identity) if identity else "", words, self.tree, **more)

    def give_rights(self) -> None:
        """Give the identities of the environments their roles in Azure."""
        with self.step("give the environments' identities their roles, as infra devops does", "person") as found:
            done = give_environment_roles(self.site, self.settings, self.rights, list(self.environments))
            found.append(f"{len(done)} roles")

    def give_role(self, what: str, identity: str, role: str, scope: str) -> None:
        """Let an identity hold a role in Azure at a scope, given by the person who owns it."""
        with self.step(what, "person") as found:
            principal = object_id(self.site, self.principal(identity))
            assign_role(self.site, principal, role, scope)
            found.append(f"{role} on {scope}")

    def pipeline(self, name: str, variables: Mapping[str, str], *, expected: Mapping[str, str] | None = None,
                 stages: tuple[str, ...] = (), parameters: Mapping[str, Any] | None = None) -> dict[str, StageRun]:  # fmt: skip
        """Run a pipeline of the repository as it is, and tell a line for each stage that ran.

        Parameters
        ----------
        expected
            Stage to the result that it has to have; every other one that runs succeeds.
        stages
            The only stages to play; all for none.
        parameters
            With which a person starts it.

        Raises
        ------
        RehearsalError
            If a stage ends otherwise.
        """
        head = run_as(self.site, "", ["git", "rev-parse", "HEAD"], self.tree).strip()
        number = len(self.runs) + 1
        run = PipelineRun(pipeline=name, commit=head, artifacts=self.site.folder / "artifacts" / f"{number}-{name}")
        run.artifacts.mkdir(parents=True)
        expanded = expand(self.tree / ".azuredevops" / f"{name}.yml", **(parameters or {}))
        if stages:
            expanded = {**expanded, "stages": [one for one in expanded["stages"] if one["stage"] in stages]}
        work = self._agent_tree()
        (self.site.folder / "logs").mkdir(exist_ok=True)
        steps: list[Done] = []
        agent = Agent(
            tree=work, run=run, earlier=list(self.runs), logs=self.site.folder / "logs", signed_in=self._signed_in,
            approved=self._approve, noted=steps.append, before=self._before,
            left_out=self.leaves_out,
            ended=lambda stage: self._report(name, stage, steps, expected or {}),
        )  # fmt: skip
        given = {
            "Agent.OS": "Linux", "Build.Reason": "IndividualCI", "Build.SourceBranch": "refs/heads/main",
            "Build.SourceBranchName": "main", "Build.SourceVersion": head, "Pipeline.Workspace": str(self.site.folder),
            "System.TeamProjectId": "rehearsal", "System.AccessToken": "none", **variables,
        }  # fmt: skip
        result = play(expanded, Scenario(variables=given), agent)
        self.runs.append(run)
        return result

    def _report(self, name: str, stage: StageRun, steps: list[Done], expected: Mapping[str, str]) -> None:
        """Tell a line for a stage that has run, and raise if it has not ended as it should."""
        if stage.result == "Skipped":
            return
        own = [step for step in steps if step.where.startswith(f"{stage.name}.")]
        who = ", ".join(dict.fromkeys(step.identity for step in own if step.identity)) or "no identity"
        begun = time.monotonic() - sum(step.seconds for step in own)
        failed = [step for step in own if step.failed]
        last = failed[-1] if failed else None
        found = f"{stage.result}{f' ({last.what}, {last.log.name})' if last else ''}"
        found += ", what it tries is left out" if any(step.what == LEFT_OUT for step in own) else ""
        self._tell(f"pipeline {name}: {stage.raw.get('displayName', stage.name)}", who, begun, found)
        wanted = expected.get(stage.name, "Succeeded")
        if (stage.result in GOOD) != (wanted in GOOD):
            shown = "\n".join(last.log.read_text(encoding="utf-8").splitlines()[-25:]) if last else ""
            raise RehearsalError(f"stage {stage.name} of {name} ended with {stage.result}, expected {wanted}:\n{shown}")

    def _agent_tree(self) -> Path:
        """Return the folder of the agents: a clone that knows the branch and the tags of the company."""
        work = self.site.folder / "agent"
        if not work.exists():
            subprocess.run([GIT, "clone", "--quiet", str(self.tree), str(work)], check=True)  # noqa: S603 -- our own words
            lend_packages(self.tree, work)
        subprocess.run(  # noqa: S603 -- git from the path
            [
                GIT,
                "-C",
                str(work),
                "fetch",
                "--quiet",
                "--tags",
                "--prune",
                "--force",
                "origin",
                "+refs/heads/*:refs/remotes/origin/*",
            ],
            check=True,
        )
        return work

    def _signed_in(self, connection: str) -> tuple[str, dict[str, str]]:
        stage = next((one.stage for key, one in CONNECTIONS.items() if place(key) == connection), "")
        return stage, self.site.signed_in(self.principal(stage) if stage else "")

    def _approve(self, stage: str, where: str) -> bool:
        if where in APPROVED_BY_A_PERSON:
            self._tell(f"approve {stage} in {where}", "person", time.monotonic(), "approved")
        return True

    def release(self, tag: str, *, broken: bool) -> None:
        """Tag what main has tried; a release whose wheel is not there is broken, and prod goes back."""
        if broken:
            self._break_release()
        head = run_as(self.site, "", ["git", "rev-parse", "HEAD"], self.tree).strip()
        with self.step(f"tag {head[:12]} as {tag}", "person"):
            run_as(self.site, "", ["git", "tag", "--force", tag], self.tree)
        variables = {"Build.SourceBranch": f"refs/tags/{tag}", "Build.SourceBranchName": tag}
        self.pipeline("release", variables, expected={"prod": "Failed"} if broken else {})

    def _break_release(self) -> None:
        """Commit a release, let main try it, and delete its wheel in prod before its smoke test looks for it."""
        with self.step("commit another release", "person"):
            change(self.tree, *ANOTHER_RELEASE)
            commit(self.tree, "A release that will be broken")
        self.pipeline("main", {})
        self.broken = True

    def _before(self, where: str) -> None:
        """Delete the newest wheel of prod by hand before the smoke test of a release that is to be broken."""
        if not self.broken or where != "prod.smoke":
            return
        contents = self.site.cloud.world.contents
        wheels = [key for key in contents if key[1].startswith(RELEASES) and key[1].endswith(".whl")]
        with self.step(f"delete {wheels[-1][1]} by hand", "person"):
            del contents[wheels[-1]]
        self.broken = False

    def drift_by_hand(self, environment: str, group: str) -> None:
        """Grant what no stack states, and find it."""
        catalog = environment
        with self.step(f"grant MANAGE on {catalog} to {group} by hand", environment):
            self._sdk(environment, environment, "PATCH", f"/api/2.1/unity-catalog/permissions/catalog/{catalog}",
                      {"changes": [{"principal": group, "add": ["MANAGE"]}]})  # fmt: skip
        with self.step(f"look for drift (infra drift {environment})", environment) as found:
            words = [PYTHON, "-m", "infra", "drift", environment]
            done = subprocess.run(  # noqa: S603 -- our own command
                words, cwd=self.tree, env=self.variables(environment), text=True, capture_output=True, check=False
            )
            changed = [line.strip() for line in done.stdout.splitlines() if "databricks_grants" in line]
            by_hand = [line.strip() for line in done.stdout.splitlines() if " by hand; " in line]
            if done.returncode != 3 or not changed or len(by_hand) != 1:
                raise RehearsalError(
                    f"drift ended with {done.returncode}, and did not name this one right alone:\n{done.stdout}{done.stderr}"
                )
            found += [changed[0], by_hand[0]]

    def try_access(self, catalog: str, group: str, table: str) -> None:
        """Let a person of dev who is in one group read a table in dev's workspace, and be refused for lack of a grant."""
        with self.step(f"read {catalog}.{table} in dev's workspace", f"one of {group}") as found:
            answer = self._statement("dev", group, f"SELECT * FROM {catalog}.{table}")  # noqa: S608 -- our own names
            message = str(answer.get("status", {}).get("error", {}).get("message", ""))
            if "does not have" not in message:
                raise RehearsalError(
                    f"one of {group} reads {catalog}.{table}, or is refused for another reason: {answer}"
                )
            found.append(message)

    def _statement(self, environment: str, group: str, statement: str) -> dict[str, Any]:
        """Return the answer to a statement of the person in the emulated company who is in a group, and in no other."""
        return statement_of(self.site, environment, group, statement)

    def _sdk(self, identity: str, environment: str, method: str, path: str, body: Mapping[str, Any]) -> None:
        ask_workspace(self.site, environment, self.principal(identity), method, path, body)

    def variables(self, identity: str) -> dict[str, str]:
        """Return the environment of a command of an identity."""
        return {**os.environ, **self.site.signed_in(self.principal(identity))}

    def review(self) -> None:
        """Let a pull request gain a privilege, and read its review."""
        with branch(self.tree, "more-rights"):
            change(self.tree, *MORE_RIGHTS)
            commit(self.tree, "Data scientists look at prod")
            with self.step(
                "review a pull request that gains a privilege (infra review --base main)", "no identity"
            ) as found:
                said = self.run("", [PYTHON, "-m", "infra", "review", "--base", "main"])
                gained = [line.strip() for line in said.splitlines() if "data-scientist" in line and "SELECT" in line]
                if not gained:
                    raise RehearsalError(f"the review does not show the privilege:\n{said[:2000]}")
                found.append(gained[0][:200])

    def write_page(self, file: Path) -> None:
        """Write who did what with which rights."""
        file.write_text(page(self.told, self.rights, self.site.providers, self.sum_up()), encoding="utf-8")

    def sum_up(self) -> str:
        """Return how many steps have taken how long, and how much of the processors' time, in one line."""
        used = sum(time_of.ru_utime + time_of.ru_stime for time_of in map(resource.getrusage, USERS))
        return (
            f"{len(self.told)} steps in {(time.monotonic() - self.begun) / 60:.1f} minutes, "
            f"{used / 60:.1f} minutes of processor time on {os.cpu_count()} cores"
        )
