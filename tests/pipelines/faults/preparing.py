"""Makes the states from which journeys begin, and the ends of undisturbed runs with which disturbed ones are compared."""

from collections.abc import Collection, Iterator
from pathlib import Path

from tests.pipelines.faults.feed import write_feed
from tests.pipelines.faults.journeys import JOURNEYS, Journey, Step
from tests.pipelines.faults.lakehouses import copy_lakehouse
from tests.pipelines.faults.observing import State, observe
from tests.pipelines.faults.points import instrument
from tests.pipelines.faults.processes import Ended, command, run_child


class Preparation:
    """The states of one engine under one folder.

    Parameters
    ----------
    folder
        Where the feed and the states are kept; a folder that an earlier preparation has filled is used again.
    """

    def __init__(self, folder: Path, engine: str) -> None:
        self.folder, self.engine = folder, engine
        folder.mkdir(parents=True, exist_ok=True)
        self.feed = folder / "feed"
        if not self.feed.exists():
            write_feed(self.feed)

    def begin(self, journey: Journey) -> Path:
        """Return the lakehouse from which a journey begins."""
        root = self.folder / f"before-{journey.name}"
        done = self.folder / f"before-{journey.name}.done"
        if done.exists():
            return root
        copy_lakehouse(self.end(JOURNEYS[journey.after]) if journey.after else self.folder / "nothing", root)
        for step in journey.before:
            self.run(step, root)
        done.touch()
        return root

    def end(self, journey: Journey) -> Path:
        """Return the lakehouse after an undisturbed run."""
        root = self.folder / f"after-{journey.name}"
        done = self.folder / f"after-{journey.name}.done"
        if not done.exists():
            copy_lakehouse(self.begin(journey), root)
            ended = self.run(journey.step, root)
            done.write_text("\n".join(ended.answer))
        return root

    def twice(self, journey: Journey) -> tuple[Path, int]:
        """Return the lakehouse after an undisturbed run and a second one, and the exit code of the second."""
        root, done = self.folder / f"twice-{journey.name}", self.folder / f"twice-{journey.name}.done"
        if not done.exists():
            copy_lakehouse(self.end(journey), root)
            ended = run_child(command(journey.step.words(root, self.feed, self.engine)), self.folder / "child")
            done.write_text(str(ended.code))
        return root, int(done.read_text())

    def points(self, journey: Journey) -> list[str]:
        """Return the names of the points that an undisturbed run passes."""
        self.end(journey)
        return (self.folder / f"after-{journey.name}.done").read_text().splitlines()

    def run(self, step: Step, root: Path, *, run_id: str | None = None, code: int | None = 0) -> Ended:
        """Run a command in a child; its answer is the points that it has passed.

        Raises
        ------
        RuntimeError
            If it does not end with the exit code; None for any.
        """
        words = step.words(root, self.feed, self.engine, run_id=run_id)

        def work() -> list[str]:
            points = instrument(lambda _number, _name: None)
            ended = command(words)()
            if code is not None and ended != code:
                raise RuntimeError(f"exit code {ended} of {' '.join(words)}")
            return points.names

        ended = run_child(work, self.folder / "child")
        if ended.code:
            raise RuntimeError(f"{' '.join(words)} ended with {ended.code}: {ended.said[-3000:]}")
        return ended


def state_of(root: Path, folder: Path) -> State:
    """Return what a lakehouse holds, read in a child: reading starts threads, which the parent must not have.

    Raises
    ------
    RuntimeError
        If it cannot be read.
    """
    ended = run_child(lambda: observe(root), folder)
    if ended.code or not isinstance(ended.answer, State):
        raise RuntimeError(f"{root} cannot be read: {ended.said[-3000:]}")
    return ended.answer


def chosen(names: Collection[str]) -> Iterator[Journey]:
    """Return the journeys of these names, or all."""
    return (journey for name, journey in JOURNEYS.items() if not names or name in names)
