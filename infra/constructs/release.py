"""The code that the stacks deploy, as a value; `infra.build.release` finds out which one it is."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Release:
    """The code that the stacks deploy.

    Attributes
    ----------
    commit
        The git commit, in full; ``unknown`` outside a repository.
    wheel
        File name of the wheel that was built from that commit.
    wheel_path
        The path of the wheel on this machine.
    wheel_source
        The path relative to the folder in which Terraform runs, so that the JSON is the same on every machine.
    sha256
        The hash of the wheel's bytes; None until it is built.
    requirements_source
        The file with the exact versions of what the wheel imports, relative to that folder as well.
    requirements_sha256
        The hash of its bytes.
    """

    commit: str
    wheel: str
    wheel_path: str
    wheel_source: str
    sha256: str | None = None
    requirements_source: str = ""
    requirements_sha256: str = ""

    @property
    def requirements(self) -> str:
        """File name of the requirements in an environment, by their content: equal ones are one file."""
        return f"requirements-{self.requirements_sha256[:12]}.txt"
