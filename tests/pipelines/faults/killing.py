"""Kills a command at one point, looks, runs it again, and compares the outcome with that of an undisturbed run."""

import json
import os
import signal
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from pipelines.__main__ import COMMANDS
from tests.pipelines.faults.comparing import compare
from tests.pipelines.faults.journeys import JOURNEYS, Journey, Step
from tests.pipelines.faults.lakehouses import Copies
from tests.pipelines.faults.observing import State
from tests.pipelines.faults.points import instrument
from tests.pipelines.faults.preparing import Preparation, state_of
from tests.pipelines.faults.processes import Ended, command, run_child

CONTINUED, REPEATED = "with --run-id", "without --run-id"
WAYS = (CONTINUED, REPEATED)
"""How the command is run again: the killed run goes on, or another one begins."""
READERS = ("status", "assets", "report")
"""The commands that must work in whatever state a killed process leaves."""
REFUSED = 2
"""The exit code of a reading command that has nothing to read."""
UNFORESEEN = ("Traceback (most recent call last)", "unexpected failure")


@dataclass(frozen=True, kw_only=True)
class Kill:
    """One point of one journey, the ways in which the command is run again after it, and what must be able to read then."""

    journey: str
    number: int
    name: str
    ways: Sequence[str] = WAYS
    readers: Sequence[str] = READERS

    @property
    def key(self) -> str:
        """Names it in a file of results."""
        return f"{self.journey} {self.number} {self.name}"


@dataclass(frozen=True, kw_only=True)
class Result:
    """What came of one point; it is equal if there is no difference."""

    engine: str
    key: str
    differences: Sequence[str]
    seconds: float

    def line(self) -> str:
        """Return the result as a line of JSON."""
        return json.dumps(asdict(self))


class Killing:
    """Kills the commands of journeys on one engine."""

    def __init__(self, preparation: Preparation, folder: Path) -> None:
        self._prepared, self._folder, self._copies = preparation, folder, Copies(folder)
        self._states: dict[str, State] = {}

    def kill(self, kill: Kill) -> Result:
        """Kill the command at a point, read, run it again in each way, and compare."""
        begun = time.monotonic()
        journey = JOURNEYS[kill.journey]
        beginning = self._prepared.begin(journey)
        killed = self._copies.of(beginning, "killed")
        differences = self._killed(journey, killed, kill.number)
        if not differences:
            run_id = run_of(killed, journey.step)
            if run_id == run_of(beginning, journey.step):
                run_id = None  # it was killed before it took the lock, on which an earlier run's id stands
            for way in kill.ways:
                if way == CONTINUED and run_id is None:
                    continue
                root = self._copies.of(killed, "again")
                differences += [f"{way}: {found}" for found in self._again(journey, root, run_id, way)]
            if kill.name.startswith("after"):
                differences += self._read(journey, killed, kill.readers)
        return Result(
            engine=self._prepared.engine, key=kill.key, differences=differences,
            seconds=round(time.monotonic() - begun, 1),
        )  # fmt: skip

    def _killed(self, journey: Journey, root: Path, number: int) -> list[str]:
        def act(reached: int, _name: str) -> None:
            if reached == number:
                os.kill(os.getpid(), signal.SIGKILL)

        def work() -> int:
            instrument(act)
            return command(journey.step.words(root, self._prepared.feed, self._prepared.engine))()

        ended = run_child(work, self._folder / "child")
        if ended.code == -signal.SIGKILL:
            return []
        return [f"the command was not killed, it ended with {ended.code}: {ended.said[-1000:]}"]

    def _again(self, journey: Journey, root: Path, run_id: str | None, way: str) -> list[str]:
        """Run the command again and return what differs from an undisturbed run."""
        continued = run_id if way == CONTINUED else None
        words = journey.step.words(root, self._prepared.feed, self._prepared.engine, run_id=continued)
        ended = run_child(command(words), self._folder / "child")
        cut_off = {run_id} if run_id and way == REPEATED else set()
        found = self._compared(journey, state_of(root, self._folder / "child"), ended, cut_off)
        return found + self._repaired(journey, root)

    def _compared(self, journey: Journey, found: State, ended: Ended, cut_off: set[str]) -> list[str]:
        once = compare(self._state("after", journey), found, cut_off=cut_off)
        if not once and ended.code == 0:
            return []
        if cut_off:  # the killed run had done all that it had to: then this is its second run
            first = run_of(self._prepared.end(journey), journey.step)
            twice, code = self._twice(journey)
            differences = compare(twice, found, cut_off={*cut_off, *([first] if first else [])})
            if not differences and ended.code == code:
                return []
            once = min(once, differences, key=len) or once or differences
        return [*map(str, once), *([f"exit code {ended.code}: {ended.said[-1500:]}"] if ended.code else [])]

    def _repaired(self, journey: Journey, root: Path) -> list[str]:
        """Let the doctor repair what is left, and return what it leaves."""
        if "doctor" not in COMMANDS:
            return []
        place = ["--env", journey.step.environment, "--engine", self._prepared.engine, "--root", str(root)]
        ended = run_child(command(["doctor", *place, "--repair"]), self._folder / "child")
        left = [] if ended.code == 0 else [f"doctor --repair ended with {ended.code}: {ended.said[-1500:]}"]
        return left + [
            f"after doctor --repair there is {what}" for what in residue(state_of(root, self._folder / "child"))
        ]

    def _read(self, journey: Journey, root: Path, readers: Sequence[str]) -> list[str]:
        """Return which reading commands die in the state that a killed command left."""
        place = ["--env", journey.step.environment, "--engine", self._prepared.engine, "--root", str(root)]
        options = {"report": ["--use-case", journey.step.use_case, "--out", str(self._folder / "report.html")]}

        def work() -> list[tuple[str, int]]:
            return [(name, command([name, *place, *options.get(name, [])])()) for name in readers]

        ended = run_child(work, self._folder / "child")
        died = [f"{name} ended with {code}" for name, code in ended.answer or () if code not in (0, REFUSED)]
        unforeseen = [said for said in UNFORESEEN if said in ended.said]
        return [f"{', '.join(died + unforeseen)}: {ended.said[-1500:]}"] if died or unforeseen or ended.code else []

    def _state(self, moment: str, journey: Journey) -> State:
        name = f"{moment} {journey.name}"
        if name not in self._states:
            self._states[name] = state_of(self._prepared.end(journey), self._folder / "child")
        return self._states[name]

    def _twice(self, journey: Journey) -> tuple[State, int]:
        """Return the state after an undisturbed run and a second one, and the exit code of that."""
        root, code = self._prepared.twice(journey)
        name = f"twice {journey.name}"
        if name not in self._states:
            self._states[name] = state_of(root, self._folder / "child")
        return self._states[name], code


def run_of(root: Path, step: Step) -> str | None:
    """Return the id of the run that took the lock of a command's job last; None if nobody did."""
    file = root / step.environment / "locks" / f"{step.use_case}.{step.job}.lock"
    if not file.exists() or not file.read_text():
        return None
    return str(json.loads(file.read_text())["run_id"])


def residue(state: State) -> list[str]:
    """Return what killed runs have left that no later run uses."""
    open_runs = [f"the MLflow run {name} without an end" for _, name, status in state.runs if status == "RUNNING"]
    half = [f"version {v.number}, which is {v.status}" for v in state.versions if v.status != "READY"]
    half += [f"a model of no version in {environment}" for environment, _ in state.loose_models]
    running = [
        f"the record of {row['task']} of {row['run_id']} as running"
        for where, rows in state.tables.items()
        if where.endswith(".runs")
        for row in rows
        if row["state"] == "running"
    ]
    return open_runs + half + running
