"""Pauses one command at a point, runs another one to its end, lets the first go on, and compares with one after the other.

Either the second command is refused, says who holds what it needs, and has changed nothing; or the outcome, with both exit
codes, is that of one of the two orders in which they can run one after the other. A first command that finds that the second
one came first may give up and say so; run again, it ends as if it had come second.
"""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from tests.pipelines.faults.comparing import compare
from tests.pipelines.faults.journeys import JOURNEYS, Journey, Step
from tests.pipelines.faults.killing import Result, run_of
from tests.pipelines.faults.lakehouses import Copies
from tests.pipelines.faults.observing import State
from tests.pipelines.faults.points import instrument
from tests.pipelines.faults.preparing import Preparation, state_of
from tests.pipelines.faults.processes import Child, Ended, command, run_child

IS_RUNNING = "is running in"
"""What the sentence says with which a job is refused that somebody runs already."""


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two commands that begin from the state of a journey; the first one is paused."""

    name: str
    begin: Journey
    first: Step
    second: Step


def _same(name: str) -> Pair:
    step = JOURNEYS[name].step
    return Pair(name=f"{name} twice", begin=JOURNEYS[name], first=step, second=step)


def _both(name: str, begin: str, first: Step, second: Step) -> tuple[Pair, Pair]:
    one, other = name.split(" beside ")
    return (
        Pair(name=name, begin=JOURNEYS[begin], first=first, second=second),
        Pair(name=f"{other} beside {one}", begin=JOURNEYS[begin], first=second, second=first),
    )


_SCORING = Step(job="scoring", environment="dev", parameters={"until": "2013-03-25"})
_ROLLBACK = Step(job="rollback", environment="prod", parameters={"reason": "its errors are large"})
PAIRS = {
    pair.name: pair
    for pair in (
        *(_same(name) for name in ("features_again", "scoring", "training_again", "monitoring", "delivery", "rollback")),
        *_both("training beside scoring", "training_again", JOURNEYS["training_again"].step, _SCORING),
        *_both("delivery beside rollback", "delivery_again", JOURNEYS["delivery_again"].step, _ROLLBACK),
        *_both(
            "staging beside dev", "training_in_two", JOURNEYS["training_in_two"].step,
            replace(JOURNEYS["training_in_two"].step, environment="dev"),
        ),
    )
}  # fmt: skip
"""Two commands each, by name; of two different ones each is once the paused one."""


@dataclass(frozen=True, kw_only=True)
class Pause:
    """One point of the first command of a pair."""

    pair: str
    number: int
    name: str

    @property
    def key(self) -> str:
        """Names it in a file of results."""
        return f"{self.pair} {self.number} {self.name}"


class Interleaving:
    """Interleaves the commands of pairs on one engine."""

    def __init__(self, preparation: Preparation, folder: Path) -> None:
        self._prepared, self._folder, self._copies = preparation, folder, Copies(folder)
        self._orders: dict[tuple[str, str], tuple[State, tuple[int, int]]] = {}

    def points(self, pair: Pair) -> list[str]:
        """Return the names of the points at which the first command can be paused."""
        names = self._folder / f"points of {pair.name}"
        if not names.exists():
            root = self._copies.of(self._prepared.begin(pair.begin), "counted")
            names.write_text("\n".join(self._prepared.run(pair.first, root, code=None).answer))
        return names.read_text().splitlines()

    def interleave(self, pause: Pause) -> Result:
        """Pause the first command at a point, run the second one, let the first go on, and compare."""
        begun, pair = time.monotonic(), PAIRS[pause.pair]
        root = self._copies.of(self._prepared.begin(pair.begin), "both")
        first, second, pid = self._together(pair, root, pause.number)
        if first is None:
            differences = [f"the first command was not paused: {second.said[-1500:]}"]
        elif second.code and IS_RUNNING in second.said:
            differences = self._refused(pair, root, first, second, pid)
        else:
            differences = self._in_some_order(pair, root, first, second)
        return Result(
            engine=self._prepared.engine, key=pause.key, differences=differences,
            seconds=round(time.monotonic() - begun, 1),
        )  # fmt: skip

    def _together(self, pair: Pair, root: Path, number: int) -> tuple[Ended | None, Ended, int]:
        reached, reach = os.pipe()
        resumed, resume = os.pipe()

        def act(passed: int, _name: str) -> None:
            if passed == number:
                os.write(reach, b".")
                os.read(resumed, 1)

        def work() -> int:
            os.close(resume)
            instrument(act)
            return self._command(pair.first, root)()

        child = Child(work, self._folder / "first")
        os.close(reach)
        os.close(resumed)
        try:
            paused = os.read(reached, 1)
            if not paused:
                return None, child.wait(), child.pid
            second = run_child(self._command(pair.second, root), self._folder / "second")
            os.write(resume, b".")
            return child.wait(), second, child.pid
        finally:
            os.close(reached)
            os.close(resume)

    def _refused(self, pair: Pair, root: Path, first: Ended, second: Ended, pid: int) -> list[str]:
        """Return what is wrong after the second command was refused: it must name the first, and have changed nothing."""
        wrong = [] if f"process {pid}" in second.said else [f"the holder {pid} is not named: {second.said[-1500:]}"]
        if first.code:
            wrong.append(f"the first command ended with {first.code}: {first.said[-1500:]}")
        alone, _ = self._order(pair, "first alone")
        return wrong + [f"first alone: {found}" for found in compare(alone, self._state(root))]

    def _in_some_order(self, pair: Pair, root: Path, first: Ended, second: Ended) -> list[str]:
        codes, found = (first.code, second.code), self._state(root)
        tried: dict[str, list[str]] = {}
        for order in ("first, second", "second, first"):
            expected, expected_codes = self._order(pair, order)
            tried[order] = [str(difference) for difference in compare(expected, found)]
            if codes != expected_codes:
                tried[order].append(
                    f"exit codes {codes} instead of {expected_codes}: {first.said[-700:]} | {second.said[-700:]}"
                )
            if not tried[order]:
                return []
        if first.code and not second.code:
            again = self._again(pair, root)
            if not again:
                return []
            tried["second, first again"] = again
        order = min(tried, key=lambda name: len(tried[name]))
        return [f"{order}: {difference}" for difference in tried[order]]

    def _again(self, pair: Pair, root: Path) -> list[str]:
        """Run the first command, which gave up, again; return what differs from its coming second."""
        given_up = run_of(root, pair.first)
        ended = run_child(self._command(pair.first, root), self._folder / "first")
        expected, codes = self._order(pair, "second, first")
        wrong = (
            []
            if ended.code == codes[0]
            else [f"the first command, run again, ended with {ended.code}: {ended.said[-1500:]}"]
        )
        return wrong + [
            str(found) for found in compare(expected, self._state(root), cut_off={given_up} if given_up else ())
        ]

    def _order(self, pair: Pair, order: str) -> tuple[State, tuple[int, int]]:
        """Return the state after the commands of a pair in some order, and the exit codes of the first and the second."""
        if (pair.name, order) not in self._orders:
            root = self._copies.of(self._prepared.begin(pair.begin), "ordered")
            codes = {"first": 0, "second": 0}
            for name in order.removesuffix(" alone").split(", "):
                step = pair.first if name == "first" else pair.second
                codes[name] = run_child(self._command(step, root), self._folder / "second").code
            self._orders[pair.name, order] = self._state(root), (codes["first"], codes["second"])
        return self._orders[pair.name, order]

    def _command(self, step: Step, root: Path) -> Callable[[], int]:
        return command(step.words(root, self._prepared.feed, self._prepared.engine))

    def _state(self, root: Path) -> State:
        return state_of(root, self._folder / "second")
