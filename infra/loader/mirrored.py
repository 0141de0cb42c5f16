"""Which providers a configuration of Terraform's finds in its mirrors on this machine."""

import re
from dataclasses import dataclass
from pathlib import Path

FOLDERS = re.compile(r'filesystem_mirror\s*{[^}]*?\bpath\s*=\s*"([^"]+)"')
ELSEWHERE = re.compile(r"\b(network_mirror|direct|dev_overrides)\s*{")


@dataclass(frozen=True, kw_only=True)
class Mirrored:
    """What a configuration file says about where providers come from.

    Parameters
    ----------
    file
        The configuration file; its path is the empty path where none is named.
    folders
        Its mirrors on this machine.
    elsewhere
        Whether it also names a source that is not a folder, so that only Terraform can tell what it holds.
    """

    file: Path
    folders: tuple[Path, ...] = ()
    elsewhere: bool = False

    def holds(self, address: str, version: str, platform: str) -> bool:
        """Return whether a provider is at hand, packed or unpacked.

        The two layouts are those of https://developer.hashicorp.com/terraform/cli/config/config-file#filesystem_mirror.

        Parameters
        ----------
        address
            ``host/namespace/type``.
        platform
            Terraform's name of this machine's kind, such as ``linux_amd64``.
        """
        packed = f"terraform-provider-{address.rsplit('/', 1)[-1]}_{version}_{platform}.zip"
        return self.elsewhere or any(
            (folder / address / version / platform).is_dir() or (folder / address / packed).is_file()
            for folder in self.folders
        )


NOTHING = Mirrored(file=Path())
"""No configuration file names a mirror."""


def mirrored(named: str) -> Mirrored:
    """Read the configuration file that ``TF_CLI_CONFIG_FILE`` names; a file that does not exist names no mirror."""
    file = Path(named)
    if not named or not file.is_file():
        return NOTHING
    text = file.read_text(encoding="utf-8")
    return Mirrored(
        file=file.resolve(), folders=tuple(map(Path, FOLDERS.findall(text))), elsewhere=bool(ELSEWHERE.search(text))
    )
