"""Serves the loader as Terraform starts a provider: the handshake on standard output, then requests on a socket.

The handshake, with the certificate of the server: https://github.com/hashicorp/go-plugin/blob/main/docs/internals.md.
"""

import base64
import datetime as dt
import json
import os
import tempfile
import threading
from collections.abc import Callable
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from infra.loader.provider import LoadingProvider
from infra.offline.provider import MAXIMUM_MESSAGE, handlers_of, methods

SHUTDOWN = "/plugin.GRPCController/Shutdown"
VALID = dt.timedelta(days=1)


class _Ending(grpc.ServerInterceptor):  # type: ignore[misc] # grpc ships no types
    """Notes that Terraform asks the provider to end."""

    def __init__(self, ended: threading.Event) -> None:
        self._ended = ended

    def intercept_service(self, continuation: Callable[[Any], Any], details: Any) -> Any:
        """Pass a call on."""
        if details.method == SHUTDOWN:
            self._ended.set()
        return continuation(details)


def serve_plugin(schemas: Path, output: int, ended: threading.Event) -> None:
    """Serve one provider configuration until Terraform asks it to end.

    Parameters
    ----------
    schemas
        The file with the provider's schemas.
    output
        The file descriptor on which Terraform reads the handshake.
    ended
        Set when it is to end.
    """
    provider = LoadingProvider(json.loads(schemas.read_text(encoding="utf-8")))
    server = grpc.server(
        futures.ThreadPoolExecutor(max_workers=10), interceptors=[_Ending(ended)],
        options=[("grpc.max_send_message_length", MAXIMUM_MESSAGE), ("grpc.max_receive_message_length", MAXIMUM_MESSAGE)],
    )  # fmt: skip
    service = grpc.method_handlers_generic_handler("tfplugin6.Provider", handlers_of(methods(provider)))
    server.add_generic_rpc_handlers((service,))
    certificate, credentials = _certificate()
    with tempfile.TemporaryDirectory(prefix="tf") as folder:
        socket = f"{folder}/s"
        server.add_secure_port(f"unix:{socket}", credentials)
        server.start()
        os.write(output, f"1|6|unix|{socket}|grpc|{certificate}\n".encode())
        ended.wait()
        server.stop(grace=0).wait()


def _certificate() -> tuple[str, Any]:
    """Return a certificate for this process as the handshake states it, and what the server answers with."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(now - VALID).not_valid_after(now + VALID)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(usage, critical=False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    pair = (private, made.public_bytes(serialization.Encoding.PEM))
    stated = base64.b64encode(made.public_bytes(serialization.Encoding.DER)).decode().rstrip("=")
    return stated, grpc.ssl_server_credentials([pair])
