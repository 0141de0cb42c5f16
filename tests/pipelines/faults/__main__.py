"""The whole proof by hand: every store call of every job of a use case is a point at which something happens.

    python -m tests.pipelines.faults kill [--engine embedded|spark] [--share 1.0] [--resume FILE]
    python -m tests.pipelines.faults interleave [--engine embedded|spark] [--share 1.0] [--resume FILE]

The first kills the command there, the second runs another command there (`killing`, `interleaving`). A seeded share of the
points runs in the test suite. With ``--resume`` the points that a file of results names as equal are left out and each new result
is added to it, so a command that was ended goes on where it was.
"""

import argparse
import json
import random
import resource
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tests.pipelines.faults.processes import import_everything, share_jvm

if TYPE_CHECKING:
    from tests.pipelines.faults.killing import Result

SEED = 13
FOLDER = Path("/tmp/faults")  # noqa: S108 - the default of an option
Work = tuple[str, Callable[[], "Result"]]
"""The name of a point, and what is done there."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the points that are asked for; exit code 1 if an outcome differed."""
    options = _parser().parse_args(arguments)
    import_everything()
    if options.engine == "spark":
        share_jvm()
    points = _kills(options) if options.harness == "kill" else _pauses(options)
    if options.mutant:
        from tests.pipelines.faults.mutants import MUTANTS

        MUTANTS[options.mutant]()
    drawn = [point for place, point in enumerate(points) if place % options.parts == options.part - 1]
    before = _done(options.resume, options.engine)
    print(f"seed {options.seed}: {len(drawn)} points of {options.harness}, {len(before)} are done", flush=True)
    return _report([(key, work) for key, work in drawn if key not in before], options.resume)


def _parser() -> argparse.ArgumentParser:
    from tests.pipelines.faults.journeys import JOURNEYS

    parser = argparse.ArgumentParser(
        prog="python -m tests.pipelines.faults", description="Disturb every job at every store call."
    )
    parser.add_argument("harness", choices=("kill", "interleave"), help="what is done at each point")
    parser.add_argument("--engine", default="embedded", choices=("embedded", "spark"))
    parser.add_argument("--share", type=float, default=1.0, help="share of the points, drawn by the seed")
    parser.add_argument("--count", type=int, help="so many points instead of a share")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument(
        "--journey", action="append", default=[], choices=tuple(JOURNEYS), help="killed; repeat for several"
    )
    parser.add_argument("--pair", action="append", default=[], help="interleaved; repeat for several")
    parser.add_argument("--at", default="", help="only points whose name contains this text")
    parser.add_argument(
        "--quick", action="store_true", help="run again in one way, drawn by the seed, and read by one command"
    )
    parser.add_argument(
        "--part", type=int, default=1, help="which one of several processes that share the points this is"
    )
    parser.add_argument("--parts", type=int, default=1, help="how many processes share the points")
    parser.add_argument(
        "--mutant", help="break the product first: every name of tests.pipelines.faults.mutants must be reported"
    )
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where states are kept; removed by hand")
    parser.add_argument("--resume", type=Path, help="file of results, one JSON line each")
    return parser


def _kills(options: argparse.Namespace) -> list[Work]:
    from tests.pipelines.faults.journeys import JOURNEYS
    from tests.pipelines.faults.killing import READERS, WAYS, Kill, Killing
    from tests.pipelines.faults.preparing import Preparation

    prepared = Preparation(options.folder / options.engine, options.engine)
    killing = Killing(prepared, options.folder / f"{options.engine}-{options.part}")
    names = options.journey or [name for name, journey in JOURNEYS.items() if journey.killed]
    points = [(name, number, title) for name in names for number, title in enumerate(prepared.points(JOURNEYS[name]))]
    chance = random.Random(options.seed)

    def work(name: str, number: int, title: str) -> Work:
        kill = Kill(journey=name, number=number, name=title)
        if options.quick:
            kill = replace(kill, ways=[chance.choice(WAYS)], readers=READERS[:1])
        return kill.key, lambda: killing.kill(kill)

    return [work(*point) for point in _drawn(points, options, chance)]


def _pauses(options: argparse.Namespace) -> list[Work]:
    from tests.pipelines.faults.interleaving import PAIRS, Interleaving, Pause
    from tests.pipelines.faults.preparing import Preparation

    prepared = Preparation(options.folder / options.engine, options.engine)
    interleaving = Interleaving(prepared, options.folder / f"{options.engine}-{options.part}")
    points = [
        (name, number, title)
        for name in options.pair or PAIRS
        for number, title in enumerate(interleaving.points(PAIRS[name]))
    ]

    def work(name: str, number: int, title: str) -> Work:
        pause = Pause(pair=name, number=number, name=title)
        return pause.key, lambda: interleaving.interleave(pause)

    return [work(*point) for point in _drawn(points, options, random.Random(options.seed))]


def _drawn(
    points: Sequence[tuple[str, int, str]], options: argparse.Namespace, chance: random.Random
) -> list[tuple[str, int, str]]:
    asked = [point for point in points if options.at in point[2]]
    count = options.count or max(1, round(options.share * len(asked)))
    return chance.sample(asked, min(count, len(asked)))


def _report(points: Iterable[Work], resume: Path | None) -> int:
    begun, different, count = time.monotonic(), 0, 0
    for key, work in points:
        result = work()
        count, different = count + 1, different + bool(result.differences)
        if resume:
            with resume.open("a") as file:
                file.write(result.line() + "\n")
        print(f"{'DIFFERENT' if result.differences else 'equal':9} {result.seconds:5.1f} s  {key}", flush=True)
        for difference in result.differences:
            print(f"          {difference}", flush=True)
    seconds, processor = time.monotonic() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    print(
        f"points {count}, equal {count - different}, different {different}, seconds {seconds:.0f} "
        f"(processor {processor.ru_utime + processor.ru_stime:.0f}, with the undisturbed runs)"
    )
    return int(bool(different))


def _done(file: Path | None, engine: str) -> set[str]:
    """Return the points that a file of results names as equal; one that differed is tried again."""
    if file is None or not file.exists():
        return set()
    results = [json.loads(line) for line in file.read_text().splitlines()]
    return {result["key"] for result in results if result["engine"] == engine and not result["differences"]}


if __name__ == "__main__":
    sys.exit(main())
