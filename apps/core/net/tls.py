"""The TLS settings for every outgoing connection. There is no option to weaken them."""

from __future__ import annotations

import ssl
from pathlib import Path

import certifi


def client_context(ca_bundle: Path | None) -> ssl.SSLContext:
    """TLS 1.2 or newer, certificate and name always verified.

    Trusts the public authorities shipped with the portal plus, if given, those in the PEM file `ca_bundle`.
    Built by hand instead of with ssl.create_default_context(), which reads SSL_CERT_FILE, SSL_CERT_DIR and
    SSLKEYLOGFILE from the environment: one variable would add an authority or write all session keys to disk.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = True
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cafile=certifi.where())
    if ca_bundle is not None:
        context.load_verify_locations(cafile=ca_bundle)
    context.set_alpn_protocols(["http/1.1"])
    return context
