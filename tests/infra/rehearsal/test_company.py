"""The company that rehearses has made no release before its first."""

import subprocess
from pathlib import Path

from infra.build.release import ROOT
from infra.commands.review.judge import last_release
from infra.rehearsal.company import found_company


def test_a_version_of_the_product_is_no_release_of_the_company(tmp_path: Path) -> None:
    """Its main is judged by itself until it has released something, whatever tags the product has."""
    product = tmp_path / "product"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(product)], check=True)
    own = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org")
    subprocess.run(["git", *own, "tag", "--annotate", "--message", "A version", "v0.0.7"], cwd=product, check=True)
    tree = found_company(product, tmp_path, ())
    tags = subprocess.run(["git", "tag", "--list"], cwd=tree, check=True, capture_output=True, text=True).stdout
    assert tags == ""
    assert last_release(tree / "none", tree) is None
