"""Releases that are cut off at every point, then repeated: what the state holds, what the records say, what was made.

A release applies a saved plan of two stacks, whose five things take a while each (`slow_cloud`), by the real command and
the real Terraform. It is killed before and after each of its steps, or gets a signal while Terraform works and its output
loses its reader at the same time, as at the end of an agent. Nothing that was made may be missing from the state. The
same command again must end as a release that nobody disturbed; where part of the plan was applied, and the plan is
therefore void, it must say so, and the next plan must.
"""

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.simulation.slow_cloud import SOURCE, THING
from infra.build.release import ROOT, current_release
from infra.releases.ledger import FileLedger
from infra.releases.record import ReleaseOutcome, deployments
from infra.releases.saving import save_plan
from infra.releases.target import Target
from infra.terraform_cli.driver import Terraform
from infra.terraform_cli.interruption import SIGNALS
from infra.terraform_cli.synthesized import SynthesizedStack, read_stacks

STACKS = {"dev-platform": ("a", "b", "c"), "dev-workspace": ("d", "e")}
THINGS = sum(map(len, STACKS.values()))
SECONDS_TO_ANSWER = 1.0
"""How soon a signal is answered with a sentence."""


@dataclass(frozen=True, kw_only=True)
class Kill:
    """The process of the release is killed at a point of `killed_release`."""

    place: str
    number: int
    when: str

    def __str__(self) -> str:
        """Return the point in words."""
        return f"killed {self.when} {self.place} {self.number}"


@dataclass(frozen=True, kw_only=True)
class Signal:
    """The process of the release gets a signal once so many things are being made or made.

    Attributes
    ----------
    twice
        Whether it gets the signal again.
    """

    number: signal.Signals
    made: int
    twice: bool = False

    def __str__(self) -> str:
        """Return the moment in words."""
        return f"{self.number.name}{' twice' if self.twice else ''} at {self.made} of {THINGS} things"


Point = Kill | Signal
KILLS: Sequence[Point] = tuple(
    Kill(place=place, number=number, when=when)
    for place, calls in (("plan", 1), ("record", 2), ("step", 2), ("terraform", 2))
    for number in range(1, calls + 1)
    for when in ("before", "after")
)
SIGNALLED: Sequence[Point] = tuple(
    Signal(number=number, made=made, twice=made == 2)
    for number in (*SIGNALS, signal.SIGKILL)
    for made in range(1, THINGS + 1)
)
POINTS = (*KILLS, *SIGNALLED)


@dataclass(frozen=True, kw_only=True)
class _Attached(Target):
    """An environment whose Terraform attaches to the slow cloud."""

    variables: Mapping[str, str]

    def terraform(self, stacks: Mapping[str, SynthesizedStack], chosen: Any) -> dict[str, Terraform]:
        """Return Terraform for each chosen stack."""
        return {
            name: Terraform(stack=name, folder=stack.folder, environment=self.variables)
            for name, stack in stacks.items()
            if name in chosen
        }


class Releases:
    """An environment in a folder, the plans that are released into it, and the cloud that it is made in.

    Parameters
    ----------
    folder
        Empty or new.
    cloud
        The folder of `slow_cloud`.
    variables
        The environment that `slow_cloud` gives.
    """

    def __init__(self, folder: Path, cloud: Path, variables: Mapping[str, str]) -> None:
        self.folder, self.cloud = folder, cloud
        for number in SIGNALS:  # in the background of a shell some are ignored, and so would the command ignore them
            if signal.getsignal(number) is signal.SIG_IGN:
                signal.signal(number, signal.SIG_DFL)
        self._variables = {**variables, "PYTHONPATH": str(ROOT)}
        self._template = folder / "template"
        _write(self._template / "cdktf.out")
        self.sha256 = self._plan(self._template, "first")
        place = self._fresh("undisturbed")
        if (code := self._apply(place).wait()) != 0:
            raise RuntimeError(f"the undisturbed release ended with {code}: {self._said(place)}")
        self.undisturbed = self._outcome(place)

    def cut_off(self, point: Point) -> list[str]:
        """Cut a release off at a point and repeat it; return everything that is wrong afterwards."""
        place = self._fresh(str(point).replace(" ", "-"))
        wrong = self._disturb(place, point)
        _wait_for_terraform(place)
        wrong += self._missing(place)
        code = self._apply(place).wait()
        if code == 1 and isinstance(point, Signal) and point.number is not signal.SIGKILL:
            # The plan is void, because part of it is applied: plan again, as the command says.
            last = FileLedger(path=place / "releases.dev.jsonl").read()[-1]
            if "plan, review and apply again" not in last.reason:
                wrong.append(f"the void plan is not named: {last.reason}")
            code = self._apply(place, "second", self._plan(place, "second")).wait()
        if code != 0:
            wrong.append(f"repeated, it ends with {code}")
        wrong += self._missing(place)
        found = self._outcome(place)
        if found != self.undisturbed:
            wrong.append(f"it ends as {found}, undisturbed as {self.undisturbed}")
        wrong += [f"the last lines are {self._said(place)}"] if wrong else []
        shutil.rmtree(place)
        return wrong

    def _disturb(self, place: Path, point: Point) -> list[str]:
        if isinstance(point, Kill):
            words = [point.place, str(point.number), point.when]
            code = self._apply(place, module="benchmarks.simulation.killed_release", before=words).wait()
            return [] if code == -signal.SIGKILL else [f"it was not killed: {code}"]
        running = self._apply(place, piped=True)
        while len(self._made()) < point.made:
            if running.poll() is not None:
                return [f"it ended with {running.returncode} before it made {point.made} things"]
            time.sleep(0.01)
        if running.stdout is None or running.stderr is None:
            raise RuntimeError("no pipes")
        running.stdout.close()
        return self._signalled(running, point, place)

    def _signalled(self, running: "subprocess.Popen[bytes]", point: Signal, place: Path) -> list[str]:
        running.send_signal(point.number)
        if point.number is signal.SIGKILL:
            running.wait()
            return []
        sent = time.monotonic()
        if running.stderr is None:
            raise RuntimeError("no pipe")
        sentence, wrong = running.stderr.readline().decode(), []
        if time.monotonic() - sent > SECONDS_TO_ANSWER or f"received {point.number.name}: waiting for" not in sentence:
            wrong.append(f"the answer after {time.monotonic() - sent:.1f} s is {sentence!r}")
        if point.twice:
            running.send_signal(point.number)
        running.stderr.read()
        if (code := running.wait()) != 128 + point.number:
            wrong.append(f"it ends with {code}")
        last = FileLedger(path=place / "releases.dev.jsonl").read()[-1]
        # A signal at the very end may come too late to interrupt anything.
        late = {ReleaseOutcome.SUCCEEDED} if len(_things(place)) == THINGS else set()
        if last.outcome not in {ReleaseOutcome.INTERRUPTED, *late}:
            wrong.append(f"it is recorded as {last.outcome}")
        return wrong

    def _apply(
        self, place: Path, plan: str = "first", sha256: str = "", *, module: str = "infra", before: Sequence[str] = (),
        piped: bool = False,
    ) -> "subprocess.Popen[bytes]":  # fmt: skip
        """Start the command; its lines go to a file, or through pipes that can be closed."""
        words = ["apply", "dev", "--plan", str(place / plan), "--sha256", sha256 or self.sha256, "--out"]
        command = [sys.executable, "-m", module, *before, *words, str(place / "cdktf.out")]
        with (place / "said").open("ab") as said:
            out = subprocess.PIPE if piped else said
            return subprocess.Popen(command, cwd=ROOT, env=self._variables, stdout=out, stderr=out)  # noqa: S603 - our own module

    def _plan(self, place: Path, name: str) -> str:
        target = _Attached(
            environment="dev", folder=place, offline=False, variables=self._variables,
            ledger=FileLedger(path=place / "releases.dev.jsonl"),
        )  # fmt: skip
        stacks, release = read_stacks(place / "cdktf.out"), current_release(out=place / "cdktf.out")
        return save_plan(stacks, target, release, place / name, uncommitted=False, say=lambda _: None).sha256

    def _fresh(self, name: str) -> Path:
        for made in self.cloud.iterdir():
            made.unlink()
        return Path(shutil.copytree(self._template, self.folder / name))

    def _said(self, place: Path) -> str:
        return " / ".join((place / "said").read_text(encoding="utf-8").splitlines()[-3:])

    def _made(self) -> set[str]:
        return {path.name for path in self.cloud.iterdir()}

    def _missing(self, place: Path) -> list[str]:
        held = set(_things(place))
        made = self._made()
        return [] if held == made else [f"made are {sorted(made)}, the state holds {sorted(held)}"]

    def _outcome(self, place: Path) -> "Outcome":
        records = FileLedger(path=place / "releases.dev.jsonl").read()
        return Outcome(
            things=_things(place),
            recorded={(str(r.kind), r.commit): (str(r.outcome), r.applied) for r in deployments(records)},
        )


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How an environment ends: the things in its states, and the last record of each commit."""

    things: Mapping[str, Mapping[str, Any]]
    recorded: Mapping[tuple[str, str], tuple[str, tuple[str, ...]]]


def _things(place: Path) -> dict[str, dict[str, Any]]:
    """Return what the states hold, by name."""
    found = {}
    for state in place.glob("terraform.*.tfstate"):
        for resource in json.loads(state.read_text(encoding="utf-8") or "{}").get("resources", ()):
            for instance in resource["instances"]:
                found[str(instance["attributes"]["name"])] = dict(instance["attributes"])
    return found


def _wait_for_terraform(place: Path) -> None:
    """Wait for each Terraform that works in a folder and has lost the process that started it."""
    while any(_runs_in(place)):
        time.sleep(0.05)


def _runs_in(place: Path) -> Iterator[Path]:
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").resolve().is_relative_to(place) and (process / "cmdline").read_bytes():
                yield process
        except OSError:
            continue


def _write(out: Path) -> None:
    """Write the stacks as cdktf lays them out; each thing is made after the one before."""
    for stack, names in STACKS.items():
        folder = out / "stacks" / stack
        folder.mkdir(parents=True)
        before = [None, *names[:-1]]
        content = {
            "terraform": {
                "required_providers": {"cloud": {"source": SOURCE, "version": "1.0.0"}},
                "backend": {"local": {"path": f"../../../terraform.{stack}.tfstate"}},
            },
            "resource": {
                THING: {
                    name: {"name": name, **({"depends_on": [f"{THING}.{after}"]} if after else {})}
                    for name, after in zip(names, before, strict=True)
                }
            },
        }
        (folder / "cdk.tf.json").write_text(json.dumps(content), encoding="utf-8")
