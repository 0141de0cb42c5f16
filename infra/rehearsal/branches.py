"""Branches of use cases in a rehearsal: two are deployed beside the originals, one runs, both are removed again."""

import sys
from dataclasses import dataclass
from pathlib import Path

from infra.config.stack_names import branch_stack_name
from infra.emulated_cloud.areas.azure.databricks_workspaces import host_of
from infra.emulated_cloud.prepared import PERSON
from infra.rehearsal.bootstrap import RehearsalError, run_as
from infra.rehearsal.company import branch, change, commit
from infra.rehearsal.rehearsal import Rehearsal
from infra.rehearsal.snapshots import Snapshot, difference, snapshot
from pipelines.declarations.branch import INFIX, branch_name

SETTINGS = "infra/settings/dev.yaml"
USE_CASE, ANOTHER = "next_visit", "air_time"
CHANGED = (f"pipelines/use_cases/{USE_CASE}/__init__.py", "Will the household", "Soon: will the household")
"""What the author of the branch changes."""
REFUSED = "is applied by the identity of dev"
"""What somebody else is told."""
NIGHT = ("where", "branches")
"""The stages of the night that remove branches."""


@dataclass(frozen=True, kw_only=True)
class GitBranch:
    """A branch of the company's repository, and the deployed branch after it."""

    git: str
    name: str
    use_case: str

    @property
    def words(self) -> tuple[str, ...]:
        """What its objects have in their names."""
        return f"{INFIX}{self.name}", f"/branches/{self.name}/", branch_stack_name("dev", self.name)


FIRST = GitBranch(git="new-gate", name="new_gate", use_case=USE_CASE)
SECOND = GitBranch(git="users/anna/other", name="users_anna_other", use_case=ANOTHER)


def allow_branches(tree: Path) -> None:
    """State in dev's settings that branches may be deployed."""
    file = tree / SETTINGS
    file.write_text(f"{file.read_text(encoding='utf-8')}branches: true\n", encoding="utf-8")
    commit(tree, "Branches in dev")


@dataclass(frozen=True, kw_only=True)
class Branches:
    """The steps of branches in a rehearsal whose dev is deployed."""

    rehearsal: Rehearsal

    def deploy(self, one: GitBranch) -> None:
        """Change a use case on a Git branch, and let its author start the pipeline there; only what is its own may come."""
        tree, before = self.rehearsal.tree, self._now()
        with branch(tree, one.git):
            if one is FIRST:
                change(tree, *CHANGED)
                commit(tree, "Ask sooner")
            else:
                commit(tree, "Another branch")
            self.rehearsal.pipeline("branch", _variables(one), parameters={"useCases": one.use_case})
        with self.rehearsal.step(
            f"look for what the branch {one.name} changed beside what is its own", "no identity"
        ) as found:
            self._require_own(before, one)
            found.append(f"{len(difference(before, self._now()).came)} objects came, all its own; nothing else changed")

    def refuse_person(self) -> None:
        """Let an administrator deploy a branch from a laptop: a branch is dev's, and dev's identity alone applies its stacks."""
        before = self._now()
        with self.rehearsal.step("deploy a branch as a person (infra branch --apply)", PERSON.name) as found:
            words = [sys.executable, "-m", "infra", "branch", "mine", "--use-case", USE_CASE, "--apply"]
            try:
                said = self.rehearsal.run(PERSON.name, words)
            except RehearsalError as error:
                said = str(error)
            if REFUSED not in said or difference(before, self._now()) != difference(before, before):
                raise RehearsalError(f"a person has deployed a branch, or was refused for another reason:\n{said}")
            found.append(f"{REFUSED}; nothing changed")

    def run(self, one: GitBranch) -> None:
        """Run a job of a branch on the compute of the workspace, as who works on it does."""
        before, job = self._now(), f"{branch_name(one.use_case, one.name)}.features"
        with self.rehearsal.step(f"run {job} in dev's workspace", "dev") as found:
            words = [sys.executable, "-m", "pipelines", "run", job, "--env", "dev", "--remote"]
            said = self.rehearsal.run("dev", words, DATABRICKS_HOST=self._host())
            self._require_own(before, one)
            found.append(said.strip().splitlines()[-1])

    def remove(self, one: GitBranch, before: Snapshot, *, by_night: bool) -> None:
        """Remove a branch, on request or because its Git branch is deleted; what was there without it must be there alone.

        Parameters
        ----------
        before
            What was there before it, with other branches that are there still.
        """
        tree = self.rehearsal.tree
        if by_night:
            with self.rehearsal.step(f"delete the Git branch {one.git}", "person"):
                run_as(self.rehearsal.site, "", ["git", "branch", "--delete", "--force", one.git], tree)
            self.rehearsal.pipeline("nightly", {"Build.Reason": "Schedule"}, stages=NIGHT)
        else:
            with branch(tree, one.git, anew=False):
                self.rehearsal.pipeline("branch", _variables(one), parameters={"remove": True})
        with self.rehearsal.step(f"look for what is left of the branch {one.name}", "no identity") as found:
            left = difference(before, self._now())
            if left.came or left.went or left.changed:
                raise RehearsalError(f"after {one.name}: {left}"[:4000])
            found.append(f"nothing: {len(before)} objects as before")

    def _host(self) -> str:
        """Return the address of dev's workspace, which the guide lets a person export."""
        number = dict(self.rehearsal.site.cloud.world.site.workspaces)["dev"]
        return f"https://{host_of(number)}"

    def _now(self) -> Snapshot:
        return snapshot(self.rehearsal.site.cloud.world)

    def _require_own(self, before: Snapshot, one: GitBranch) -> None:
        others = difference(before, self._now()).of_others(one.words)
        if others:
            raise RehearsalError(f"the branch {one.name} has changed what is not its own: {', '.join(others)}")


def _variables(one: GitBranch) -> dict[str, str]:
    """Return what the service sets in a run that a person has started on a Git branch."""
    ref = f"refs/heads/{one.git}"
    return {"Build.Reason": "Manual", "Build.SourceBranch": ref, "Build.SourceBranchName": one.git.rpartition("/")[2]}
