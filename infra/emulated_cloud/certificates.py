"""A certificate authority of this process, so that clients reach the emulated cloud under its real host names."""

import datetime
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

NAMES = (
    "accounts.azuredatabricks.net", "*.7.azuredatabricks.net", "management.azure.com", "graph.microsoft.com", "login.microsoftonline.com",
    "*.vault.azure.net", "*.in.applicationinsights.azure.com",
    *(f"*.{kind}.core.windows.net" for kind in ("blob", "dfs", "file", "queue", "table", "web")),
)  # fmt: skip
"""Host names that the certificate is for."""
VALID = datetime.timedelta(days=7)


def write_authority(folder: Path) -> tuple[Path, ssl.SSLContext]:
    """Make an authority and a certificate for all host names.

    Returns
    -------
    Path
        The authority's certificate, for ``SSL_CERT_FILE`` and ``REQUESTS_CA_BUNDLE``.
    ssl.SSLContext
        What a server answers with. The private keys stay in a file that only its owner reads, and go with the folder.
    """
    authority_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "emulated cloud of this machine")])
    authority = _certificate(issuer, issuer, authority_key, authority_key, names=())
    leaf = _certificate(x509.Name([]), issuer, key, authority_key, names=NAMES)
    public, private = folder / "authority.pem", folder / "server.pem"
    public.write_bytes(authority.public_bytes(serialization.Encoding.PEM))
    private.touch(mode=0o600)
    plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    private.write_bytes(
        leaf.public_bytes(serialization.Encoding.PEM) + key.private_bytes(serialization.Encoding.PEM, *plain)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(private)
    return public, context


def _certificate(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, signing: ec.EllipticCurvePrivateKey, *,
    names: tuple[str, ...],
) -> x509.Certificate:  # fmt: skip
    now = datetime.datetime.now(datetime.UTC)
    authority = not names
    builder = (
        x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + VALID)
        .add_extension(x509.BasicConstraints(ca=authority, path_length=0 if authority else None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signing.public_key()), critical=False)
        .add_extension(_usage(authority=authority), critical=True)
    )  # fmt: skip
    if names:
        builder = builder.add_extension(
            x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=True
        )
    return builder.sign(signing, hashes.SHA256())


def _usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority, key_cert_sign=authority, crl_sign=authority, content_commitment=False,
        key_encipherment=False, data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip
