"""Gateways in front of agents use the issuer and the doors of the security cases."""

from tests.security.conftest import issuer, issuer_server

__all__ = ["issuer", "issuer_server"]
