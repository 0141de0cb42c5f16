"""Post a review as the one comment on the pull request, or update that comment.

Example
-------
  python -m infra comment build/review/review.md
"""

import os
from pathlib import Path
from typing import Annotated

import typer

from infra.review.markdown import MARKER
from infra.review.pull_request import PullRequest, post
from ml.spec.errors import RequestError

EPILOG = (
    "Runs in Azure Pipelines, with the run's own token in SYSTEM_ACCESSTOKEN. Exit codes: 0 posted, or nothing to do "
    "in the run of a fork; 1 Azure DevOps did not take it; 2 no review, or no run for a pull request."
)


def run(file: Annotated[Path, typer.Argument(metavar="FILE", help="Markdown that `review --out` wrote.")]) -> int:
    """Post the comment; the pipeline's variables name the pull request."""
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise RequestError(f"{file} cannot be read ({error.strerror}): write it with `review --out`.") from error
    if not text.startswith(MARKER):
        raise RequestError(f"{file} is no review, whose first line is a mark: write it with `review --out`.")
    pull_request = PullRequest.of_run(os.environ)
    if pull_request is None:
        print("the run of a fork has no token: the comment is not posted.")
        return 0
    print(post(pull_request, text, marker=MARKER))
    return 0
