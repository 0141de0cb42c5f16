"""Failures of the connection to a deployed environment: one sentence each, with an exit code."""

import subprocess
import sys
from pathlib import Path

import pytest

from pipelines import __main__ as command_line
from pipelines.remote import connection, request_retries
from pipelines.remote.connection import Remote, connect
from pipelines.remote.errors import RemoteError
from tests.pipelines.remote.deployed import deployed_jobs
from tests.pipelines.remote.loopback_workspace import Fault, LoopbackWorkspace, RefusalError, VirtualClock

ROOT = Path(__file__).parents[3]
THROTTLED = RefusalError(429, "REQUEST_LIMIT_EXCEEDED", "Current request has to be retried", {"Retry-After": "7"})
BROKEN = RefusalError(500, "INTERNAL_ERROR", "something went wrong over there")
UNAVAILABLE = RefusalError(503, "TEMPORARILY_UNAVAILABLE", "the service is being updated", {"Retry-After": "3"})
GATEWAY = RefusalError(502, "BAD_GATEWAY", "upstream request failed")
ME = "scim/v2/Me"


@pytest.fixture
def said() -> list[str]:
    """The lines that the user is shown."""
    return []


@pytest.fixture
def remote(logged_in: LoopbackWorkspace, clock: VirtualClock, said: list[str]) -> Remote:
    """A connection to staging, with its jobs deployed."""
    logged_in.held.jobs = deployed_jobs("staging")
    return connect("staging", say=said.append, clock=clock)


def me(remote: Remote) -> str | None:
    """Send one request: return the name of the logged-in user."""
    return remote.ask("ask who is logged in", remote.client.current_user.me).user_name


def test_a_throttled_request_waits_for_the_time_of_retry_after(
    remote: Remote, logged_in: LoopbackWorkspace, clock: VirtualClock, said: list[str]
) -> None:
    """Each wait is shown to the user, and the request succeeds afterwards."""
    logged_in.faults = [Fault(ME, THROTTLED, times=2)]
    assert me(remote) == "releases@meridian-air.example"
    assert [int(seconds) for seconds in clock.waited] == [7, 7]
    assert len(said) == 2
    assert "asks to wait (Current request has to be retried): asking again in" in said[0]


def test_endless_throttling_is_given_up_after_five_minutes(
    remote: Remote, logged_in: LoopbackWorkspace, clock: VirtualClock
) -> None:
    """The error has exit code 3."""
    logged_in.faults = [Fault(ME, THROTTLED, times=10_000)]
    with pytest.raises(RemoteError, match="kept answering that there are too many requests") as error:
        me(remote)
    assert error.value.exit_code == 3
    assert request_retries.PATIENCE_SECONDS - 10 < sum(clock.waited) < request_retries.PATIENCE_SECONDS + 10


def test_a_retry_after_above_the_limit_is_an_error_at_once(
    remote: Remote, logged_in: LoopbackWorkspace, clock: VirtualClock
) -> None:
    """A wait of an hour raises an error without any waiting."""
    logged_in.faults = [Fault(ME, RefusalError(429, "REQUEST_LIMIT_EXCEEDED", "slow down", {"Retry-After": "3600"}))]
    with pytest.raises(RemoteError, match="asks to wait 3600 s before the next request, longer than the 120 s"):
        me(remote)
    assert clock.waited == []


@pytest.mark.parametrize("fault", [BROKEN, GATEWAY, UNAVAILABLE, RefusalError(504, "DEADLINE_EXCEEDED", "too slow")])
def test_a_server_error_is_retried(
    remote: Remote, logged_in: LoopbackWorkspace, said: list[str], fault: RefusalError
) -> None:
    """After two answers with 500, 502, 503 or 504 the request succeeds, and the user is shown both."""
    logged_in.faults = [Fault(ME, fault, times=2)]
    assert me(remote) == "releases@meridian-air.example"
    assert len(said) == 2
    assert str(fault) in said[0]


def test_repeated_server_errors_are_given_up_after_a_fixed_number_of_tries(
    remote: Remote, logged_in: LoopbackWorkspace, clock: VirtualClock
) -> None:
    """The error contains the message of the workspace."""
    logged_in.faults = [Fault(ME, BROKEN, times=10_000)]
    with pytest.raises(RemoteError, match=r"kept failing by itself .*something went wrong over there"):
        me(remote)
    assert clock.waited == list(connection.WAITS_SECONDS)


def test_an_answer_with_501_is_not_retried(remote: Remote, logged_in: LoopbackWorkspace) -> None:
    """One request is sent, and the error contains its message."""
    logged_in.faults = [Fault(ME, RefusalError(501, "NOT_IMPLEMENTED", "no such thing"), times=10)]
    with pytest.raises(RemoteError, match="could not ask who is logged in: no such thing"):
        me(remote)
    assert sum(ME in asked for asked in logged_in.asked) == 1


def test_a_request_that_times_out_is_retried(
    logged_in: LoopbackWorkspace, clock: VirtualClock, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second attempt succeeds, and the user is shown the retry."""
    monkeypatch.setattr(connection, "ANSWER_WITHIN_SECONDS", 0.1)
    remote = connect("staging", say=said.append, clock=clock)
    logged_in.faults = [Fault(ME, seconds=0.3)]
    assert me(remote) == "releases@meridian-air.example"
    assert "did not answer: asking again in" in said[0]


def test_a_request_that_always_times_out_is_given_up(
    logged_in: LoopbackWorkspace, clock: VirtualClock, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each attempt has a time limit, and so have all attempts together."""
    monkeypatch.setattr(connection, "ANSWER_WITHIN_SECONDS", 0.05)
    monkeypatch.setattr(connection, "PATIENCE_SECONDS", 4)
    remote = connect("staging", say=said.append, clock=clock)
    logged_in.faults = [Fault(ME, seconds=0.2, times=100)]
    with pytest.raises(RemoteError, match="did not answer in time"):
        me(remote)


def test_an_expired_login_says_to_log_in_again(remote: Remote, logged_in: LoopbackWorkspace) -> None:
    """Status 401 and the status 403 for an invalid token give the same error."""
    for fault in (
        RefusalError(401, "UNAUTHENTICATED", "Request to use token failed to validate"),
        RefusalError(403, "403", "Invalid access token."),
    ):
        logged_in.faults = [Fault(ME, fault)]
        with pytest.raises(RemoteError, match=r"does not accept the login .* Log in again, for example with az login"):
            me(remote)


def test_a_missing_right_is_named(remote: Remote, logged_in: LoopbackWorkspace) -> None:
    """The error contains the message of the workspace."""
    logged_in.faults = [Fault("jobs/list", RefusalError(403, "PERMISSION_DENIED", "User lacks CAN_VIEW"))]
    with pytest.raises(RemoteError, match=r"does not allow you to list the jobs: User lacks CAN_VIEW. Ask"):
        remote.ask("list the jobs", lambda: list(remote.client.jobs.list()))


def test_a_login_that_cannot_be_renewed_says_to_log_in_again(remote: Remote, monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK renews tokens between requests; a failure there gives the message of the Azure CLI."""

    def over() -> dict[str, str]:
        raise OSError("cannot get access token: AADSTS70043: The refresh token has expired")

    monkeypatch.setattr(remote.client.api_client._api_client, "_header_factory", over)
    with pytest.raises(RemoteError, match=r"there is no login for .*AADSTS70043.* Log in again: az login"):
        me(remote)


def test_a_refused_first_connection_is_an_error_without_waiting(
    logged_in: LoopbackWorkspace, clock: VirtualClock, said: list[str]
) -> None:
    """Nothing is retried before the workspace has answered once."""
    remote = connect("staging", say=said.append, clock=clock)
    logged_in.close()
    with pytest.raises(RemoteError, match=r"cannot be reached .*Connection refused.* Look at the address"):
        me(remote)
    assert clock.waited == []


@pytest.mark.usefixtures("logged_in")
def test_an_unknown_host_name_is_an_error(
    clock: VirtualClock, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error contains the mistyped address of DATABRICKS_HOST."""
    monkeypatch.setenv("DATABRICKS_HOST", "https://adb-1.azuredatabricks.invalid")
    remote = connect("staging", say=said.append, clock=clock)
    with pytest.raises(RemoteError, match=r"https://adb-1\.azuredatabricks\.invalid cannot be reached"):
        me(remote)


def test_a_lost_connection_is_retried_for_five_minutes(
    remote: Remote, logged_in: LoopbackWorkspace, clock: VirtualClock, said: list[str]
) -> None:
    """After the workspace has answered once, a lost connection is taken for temporary."""
    assert me(remote)
    logged_in.close()
    with pytest.raises(RemoteError, match="cannot be reached"):
        me(remote)
    assert request_retries.PATIENCE_SECONDS - 15 < sum(clock.waited) < request_retries.PATIENCE_SECONDS + 15
    assert all("did not answer: asking again" in line for line in said)


def call(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """Run one command in this process and return exit code, output, and errors in one line."""
    code = command_line.main(list(words))
    captured = capsys.readouterr()
    return code, captured.out, " ".join(captured.err.split())


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("run", "flight_delay.features", "--env", "stagging", "--remote"), 2, "did you mean 'staging'"),
        (("run", "flight_delay.feature", "--env", "staging", "--remote"), 2, "did you mean 'flight_delay.features'"),
        (("run", "flight_delay.features", "--remote", "--run-id", "20130401T"), 2, "is not the id of a deployed run"),
        (
            ("run", "flight_delay.features", "--cancel-on-interrupt"),
            2,
            "is about a deployed environment: give --remote",
        ),
        (("status", "--env", "staging", "--profile", "work"), 2, "is about a deployed environment: give --remote"),
        (("status", "--env", "stagin", "--remote"), 2, "did you mean 'staging'"),
        (("smoke", "--env", "prod"), 2, "give --remote"),
        (("smoke", "--env", "prod", "--remote", "--schedules", "runing"), 2, "did you mean 'running'"),
        (("smoke", "--env", "prod", "--remote", "--profile", "work"), 3, "nothing says which workspace is prod's"),
    ],
)
def test_a_mistake_of_the_call_is_one_sentence_and_no_request_is_sent(
    capsys: pytest.CaptureFixture[str],
    logged_in: LoopbackWorkspace,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    code: int,
    message: str,
) -> None:
    """The exit code is 2, or 3 where no workspace is configured, and no traceback is printed."""
    if code == 3:
        monkeypatch.delenv("DATABRICKS_HOST")
        monkeypatch.delenv("DATABRICKS_TOKEN")
        words = words[:-2]
    got, out, err = call(capsys, *words)
    assert got == code
    assert message in err
    assert "Traceback" not in out + err
    assert logged_in.asked == []


def test_a_host_without_a_login_says_to_log_in(
    capsys: pytest.CaptureFixture[str], logged_in: LoopbackWorkspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The exit code is 3, and the error names the workspace and a command to log in."""
    monkeypatch.delenv("DATABRICKS_TOKEN")
    monkeypatch.setenv("PATH", "")
    code, _, err = call(capsys, "status", "--env", "staging", "--remote")
    assert code == 3
    assert f"there is no login for {logged_in.host}, the workspace of staging: log in, for example with az login" in err


def test_a_profile_that_does_not_exist_is_named(
    capsys: pytest.CaptureFixture[str], logged_in: LoopbackWorkspace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The exit code is 2, and the error of the SDK names the profile."""
    profiles = tmp_path / "profiles"
    profiles.write_text(f"[staging]\nhost = {logged_in.host}\n")
    monkeypatch.setenv("DATABRICKS_CONFIG_FILE", str(profiles))
    code, _, err = call(capsys, "status", "--env", "staging", "--remote", "--profile", "stagign")
    assert code == 2
    assert "has no stagign profile configured" in err


def test_no_command_takes_a_token(capsys: pytest.CaptureFixture[str]) -> None:
    """The help of no remote command has an option for a token; only the SDK handles the login."""
    for command in ("run", "status", "smoke"):
        assert command_line.main([command, "--help"]) == 0
        assert "token" not in capsys.readouterr().out.lower()


def test_commands_load_the_sdk_only_where_it_is_used() -> None:
    """The help is printed without loading the Databricks SDK."""
    code = "import sys, pipelines.__main__ as m; m.main(['--help']); print('databricks.sdk' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"
