"""``comment``: post a review as the one comment on the pull request, or update that comment."""

import argparse
import os
import sys
from pathlib import Path

from infra.review.markdown import MARKER
from infra.review.pull_request import CommentError, PullRequest, post


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options; which pull request it is, the pipeline's variables say."""
    parser.add_argument("file", type=Path, help="Markdown that `review --out` wrote")
    parser.epilog = (
        "Runs in Azure Pipelines, with the run's own token in SYSTEM_ACCESSTOKEN. Exit codes: 0 posted, or nothing to do "
        "in the run of a fork; 1 Azure DevOps did not take it; 2 no review, or no run for a pull request."
    )


def run(args: argparse.Namespace) -> int:
    """Post."""
    try:
        text = args.file.read_text(encoding="utf-8")
    except OSError as error:
        print(f"error: {args.file} cannot be read ({error.strerror}): write it with `review --out`.", file=sys.stderr)
        return 2
    if not text.startswith(MARKER):
        print(
            f"error: {args.file} is no review, whose first line is a mark: write it with `review --out`.",
            file=sys.stderr,
        )
        return 2
    try:
        to = PullRequest.of_run(os.environ)
    except CommentError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if to is None:
        print("the run of a fork has no token: the comment is not posted.")
        return 0
    try:
        print(post(to, text, marker=MARKER))
    except CommentError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0
