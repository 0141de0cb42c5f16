"""The gate's benchmark runs and prints both of its tables."""

import pytest

from benchmarks import gate


def test_the_benchmark_prints_both_tables(capsys: pytest.CaptureFixture[str]) -> None:
    """With few rows and few test sets it prints times, rates for every policy, and those of the best of ten."""
    gate.main(["--test-sets", "2", "--rows", "3000"])
    printed = capsys.readouterr().out
    for policy in (*gate.POLICIES, *gate.MANY):
        assert f"| {policy} |" in printed
    assert all(f"{limit.what}: " in printed for limit in gate.LIMITS)
    assert "Promotion rates, 2 test sets" in printed


def test_rates_of_all_processors_add_up() -> None:
    """Each test set is counted once, however the test sets are distributed over the processors."""
    policies = {name: policy for name, policy in gate.POLICIES.items() if name.startswith("DeLong")}
    rates = gate.measure_rates({"equal": gate.SETTINGS["equal"]}, policies, test_sets=5)
    assert {rate.test_sets for rate in rates["equal"].values()} == {5}
