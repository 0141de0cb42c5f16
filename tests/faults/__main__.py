"""The whole proof by hand: ``python -m tests.faults kill [--engine embedded|spark] [--share 1.0] [--resume FILE]``.

Every store call of every job of a use case is a point at which the command is killed (`tests.faults.killing`). A seeded
share of the points runs in the test suite. With ``--resume`` the points that a file of results names are left out, and each
new result is added to it, so a command that was ended goes on where it was.
"""

import argparse
import json
import random
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.faults.journeys import JOURNEYS
from tests.faults.processes import import_everything

SEED = 13
FOLDER = Path("/tmp/faults")  # noqa: S108 - the default of an option


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the points that are asked for; exit code 1 if an outcome differed."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description="Kill every job at every store call.")
    parser.add_argument("harness", choices=("kill",), help="what is done at each point")
    parser.add_argument("--engine", default="embedded", choices=("embedded", "spark"))
    parser.add_argument("--share", type=float, default=1.0, help="share of the points, drawn by the seed")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--journey", action="append", default=[], choices=tuple(JOURNEYS), help="repeat for several")
    parser.add_argument("--point", type=int, action="append", default=[], help="the numbers of the only points")
    parser.add_argument("--part", default="1/1", help="one of several processes that share the points: 1/2, 2/2")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where states are kept; removed by hand")
    parser.add_argument("--resume", type=Path, help="file of results, one JSON line each")
    options = parser.parse_args(arguments)
    import_everything()
    from tests.faults.killing import Kill, Killing
    from tests.faults.preparing import Preparation, chosen

    prepared = Preparation(options.folder / options.engine, options.engine)
    points = [
        Kill(journey=journey.name, number=number, name=name)
        for journey in chosen(options.journey)
        for number, name in enumerate(prepared.points(journey))
        if not options.point or number in options.point
    ]
    drawn = random.Random(options.seed).sample(points, max(1, round(options.share * len(points))))  # noqa: S311 - no secret
    before = done(options.resume, options.engine)
    part, parts = map(int, options.part.split("/"))
    killing = Killing(prepared, options.folder / f"{options.engine}-{part}")
    print(f"seed {options.seed}: {len(drawn)} of {len(points)} points, {len(before)} are done", flush=True)
    begun, different, count = time.monotonic(), 0, 0
    for place, kill in enumerate(drawn):
        if kill.key in before or place % parts != part - 1:
            continue
        result = killing.kill(kill)
        count += 1
        different += bool(result.differences)
        if options.resume:
            with options.resume.open("a") as file:
                file.write(result.line() + "\n")
        print(f"{'DIFFERENT' if result.differences else 'equal':9} {result.seconds:5.1f} s  {kill.key}", flush=True)
        for difference in result.differences:
            print(f"          {difference}", flush=True)
    seconds = time.monotonic() - begun
    print(f"{count} points: {count - different} equal, {different} different, {seconds:.0f} s")
    return int(bool(different))


def done(file: Path | None, engine: str) -> set[str]:
    """Return the points that a file of results names."""
    if file is None or not file.exists():
        return set()
    results = [json.loads(line) for line in file.read_text().splitlines()]
    return {result["key"] for result in results if result["engine"] == engine}


if __name__ == "__main__":
    sys.exit(main())
