"""``access`` answers who can do what, and by which path."""

import pytest

from infra.__main__ import main


def lines(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    """Run the command and return what it prints."""
    assert main(["access", *arguments]) == 0
    return capsys.readouterr().out.splitlines()


def test_what_a_group_can_do_is_printed_with_its_path(capsys: pytest.CaptureFixture[str]) -> None:
    """From the company's group, over the role, to each object of one environment."""
    found = lines(capsys, "--who", "mrd-ml-engineering", "--env", "prod")
    (data,) = [line for line in found if line.startswith("prod: reads prod's schema air_time_inference: ")]
    assert "is a member of prod's ml engineers (grp-mrd-prod-ml-engineer) (stacks/account/cdk.tf.json, " in data
    assert data.endswith("(stacks/prod-workspace/cdk.tf.json, databricks_grants.air_time_inference)")
    assert not [line for line in found if "air_time_bronze" in line or not line.startswith("prod: ")]


def test_who_reaches_an_object_is_printed_with_the_path(capsys: pytest.CaptureFixture[str]) -> None:
    """Prod's raw data: its identity, whoever signs in as that, the account. No person."""
    found = lines(capsys, "--what", "prod.air_time_bronze")
    assert any(line.startswith("prod: prod's identity (app-mrd-prod) changes it: ") for line in found)
    assert any("lakehouse-prod of https://vstoken.dev.azure.com/" in line for line in found)
    assert not [line for line in found if "grp-" in line or "dev's" in line]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "give --who PRINCIPAL or --what OBJECT, and not both"),
        (["--who", "mrd-ml-enginering"], "did you mean 'mrd-ml-engineering'?"),
        (["--what", "prod.nothing"], "no objects have that name"),
        (
            ["--what", "prod.air_time_bronz"],
            "did you mean 'prod.air_time_bronze'? Give a schema with its catalog, or an address",
        ),
        (["--who", "mrd-ml-engineering", "--env", "prd"], "It is none of dev, staging, prod"),
    ],
)
def test_what_cannot_be_answered_is_exit_code_2(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """With what exists."""
    assert main(["access", *arguments]) == 2
    assert sentence in capsys.readouterr().err
