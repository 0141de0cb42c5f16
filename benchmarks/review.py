"""Graph, proof and review of 100 teams in 3 environments, after synthesis, against the calibration.

``python -m benchmarks.review``: the proof of one estate, and its review beside the same estate with one team less. Processor
time of one process counts, so that what else a machine does changes little.
"""

import resource
import sys
import time

from benchmarks.calibration import REPEATS, calibrate
from benchmarks.limits import CALIBRATION, Figure, Limit, judge
from benchmarks.synth import estate_of
from infra.config.ceilings import ceilings
from infra.constructs.release import Release
from infra.graph.declared import as_synthesized
from infra.graph.estate import Estate
from infra.graph.meanings import contexts
from infra.graph.paths import whole_graph
from infra.graph.proof import prove
from infra.graph.rights import Judge
from infra.graph.uncollected import uncollected
from infra.review.as_json import as_json
from infra.review.comparing import SynthesizedEstate, compare
from infra.review.effective_rights import rights_changes, way_changes
from infra.review.markdown import comment
from infra.review.page import page
from infra.review.record import ReviewRecord
from infra.review.strictness import looser_in_prod
from infra.stacks.estate import stacks

TEAMS = 100
LIMIT = Limit(what=f"graph, proof and review for {TEAMS} teams in 3 environments", alternative=CALIBRATION, at_most=13)
LIMITS = (LIMIT,)
"""10 s on the machine of docs/figures.md, where the idle calibration is 0.77 s, see `benchmarks.calibration`."""
COMMIT = "0" * 40
RELEASE = Release(commit=COMMIT, wheel="any.whl", wheel_path="any.whl", wheel_source="any.whl")


@uncollected
def main() -> int:
    """Print the times of the parts; return 1 if together they are above the limit."""
    before_settings, before_declared = estate_of(TEAMS - 1)
    settings, declared = estate_of(TEAMS)
    before = as_synthesized(stacks(before_settings, before_declared, RELEASE))
    after = as_synthesized(stacks(settings, declared, RELEASE))
    calibrated = _calibration()
    begun = time.process_time()
    found = prove(after, settings, declared)
    proven = time.process_time()
    had, has = (
        whole_graph(Estate(before, before_settings), before_declared),
        whole_graph(Estate(after, settings), declared),
    )
    drawn = time.process_time()
    record = ReviewRecord(
        base=COMMIT,
        meanings=compare(
            SynthesizedEstate(stacks=before, commit=COMMIT), SynthesizedEstate(stacks=after, commit=COMMIT)
        ),
        rights=rights_changes(had, has),
        ways=way_changes(
            had, has, Judge(Estate(after, settings), ceilings(), declared), contexts(settings, tuple(declared))
        ),
        looser=looser_in_prod(after),
    )
    sizes = [len(text) for text in (comment(record), page(record), as_json(record))]
    ended = time.process_time()
    now = (calibrated + _calibration()) / 2
    resources = sum(sum(map(len, stack.content["resource"].values())) for stack in after.values())
    print(
        f"{resources:,d} resources, {len(has.edges):,d} edges, {len(found)} findings, {len(record.rights)} changes of rights"
    )
    print(f"  proof {proven - begun:.1f} s, two graphs {drawn - proven:.1f} s, review {ended - drawn:.1f} s")
    print(f"  comment, page and JSON have {', '.join(f'{size:,d}' for size in sizes)} characters")
    return judge([Figure(limit=LIMIT, seconds=ended - begun, alternative_seconds=now)])


def _calibration() -> float:
    """Return the processor time of the calibration, in seconds."""
    begun = resource.getrusage(resource.RUSAGE_CHILDREN)
    calibrate()
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (ended.ru_utime + ended.ru_stime - begun.ru_utime - begun.ru_stime) / REPEATS


if __name__ == "__main__":
    sys.exit(main())
