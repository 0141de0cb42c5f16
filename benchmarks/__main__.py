"""Prints the figures, each with its alternative in the same run: ``python -m benchmarks [NAME ...]``.

Each benchmark is a module and runs in its own process, so none inherits another's memory. A benchmark states its limits
as ratios in ``LIMITS`` and ends with 1 if a figure is above its limit (`benchmarks.limits`).
"""

import os
import subprocess
import sys
import time

BENCHMARKS = {
    "gate": "paired bootstrap and DeLong's test against resampling in a loop; error rates of the policies",
    "units": "error rates of the gate where rows share entities and days depend on the day before",
    "costs": "error rates of the gate when it judges the cost of a request",
    "classes": "error rates of the gate where one of several classes is predicted",
    "labels": "noise where a label's value decides when it is known, by the rule of today and the one before",
    "profiles": "profiles and drift of 50 columns against Evidently and NannyML; false alarms and delays",
    "daily_alarm": "the daily alarm: cost of 50 columns, false alarms per month, changes seen on their first day",
    "joins": "point-in-time join against the window formulation",
    "scale": "figures of gate and monitors from summaries that the engine computes, against the exact computation, and memory",
    "scoring": "scoring against mlflow.pyfunc.spark_udf",
    "serving": "answers in real time against mlflow models serve and MLServer: latencies, the highest rate, promotions under load",
    "streaming": "requests scored as they come, in increments, against all at once",
    "faults": "jobs killed at store calls and run again, jobs interleaved, against undisturbed runs",
    "cut_off": "applies killed and interrupted at every step, with the real Terraform, against undisturbed ones",
    "first_result": "from a clone to the first result, and the share spent downloading, against the calibration",
    "pages": "what axe-core finds on every page, on a desk and on a phone, from disk and served",
    "documented": "documented commands, and those that a test runs",
    "startup": "processor time of help, version and list, against an interpreter that does nothing",
    "telemetry": "processor time of spans, times the spans of jobs, against these jobs; the same switched off",
    "synth": "synthesis of all stacks against the plain import of the bindings",
    "review": "graph, proof and review of 100 teams in 3 environments, against the calibration",
    "offline": "offline plan of prod and policy over all stacks, against the calibration",
    "mutants": "harmful mutants of stacks, settings and code that the checks stop, by class; legitimate changes that pass",
    "pull_request": "the whole pipeline of a pull request, step by step, against the calibration",
    "year": "months of daily runs: time, memory, files and registry rows of a day, against the second month",
    "flights_growth": "three years of flights against one: the exponent of processor time, and memory",
    "demonstration": "the whole demonstration, against the calibration, and its memory",
}
PROOFS = frozenset(
    {
        "units",
        "costs",
        "classes",
        "labels",
        "faults",
        "cut_off",
        "year",
        "flights_growth",
        "mutants",
        "pages",
        "documented",
    }
)
"""These compare the product with itself or with what it states: outcomes that must be equal, growth that must stay below a
ratio or an exponent, error rates."""


def main(names: list[str]) -> int:
    """Run the named benchmarks, or all, one after the other; 1 if any failed."""
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown:
        print(f"unknown benchmark {', '.join(unknown)}. Known: {', '.join(BENCHMARKS)}.", file=sys.stderr)
        return 2
    failed = []
    environment = {"OMP_WAIT_POLICY": "PASSIVE", **os.environ}  # as the command line sets it
    for name in names or BENCHMARKS:
        print(f"\n== {name}: {BENCHMARKS[name]}", flush=True)
        begun = time.perf_counter()
        if subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], env=environment, check=False).returncode:  # noqa: S603 - our own modules
            failed.append(name)
        print(f"({name}: {time.perf_counter() - begun:.0f} s)", flush=True)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
