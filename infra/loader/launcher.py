"""What Terraform starts as the provider: it hands its output over to the process that serves all providers, and waits.

It imports the standard library alone, because Terraform starts a provider some twenty times for one plan. Its arguments are the
socket of that process and the file with the provider's schemas.
"""

import json
import os
import socket
import sys


def main(address: str, schemas: str) -> int:
    """Ask for a provider with this process's environment and output; wait for its end."""
    with socket.socket(socket.AF_UNIX) as asking:
        asking.connect(address)
        wanted = {"schemas": schemas, "environment": dict(os.environ), "folder": os.getcwd()}  # noqa: PTH109 -- pathlib takes longer to import than the rest
        content = json.dumps(wanted).encode()
        socket.send_fds(asking, [len(content).to_bytes(8, "big")], [1, 2])
        asking.sendall(content)
        asking.recv(1)  # the provider has ended
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
