"""One small world of the benchmark's own seed, shared by the tests of this folder."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from benchmarks import issuer as issuers
from benchmarks import seed
from benchmarks.calls import Calls
from benchmarks.manifest import Manifest

TENANTS = 5


@pytest.fixture(scope="session")
def issuer() -> Iterator[issuers.Issuer]:
    port = int(os.environ["PORTAL_TEST_SPARE_PORTS"].split(",")[-1])
    with issuers.serving(port) as running:
        yield running


@pytest.fixture(scope="session")
def manifest(issuer: issuers.Issuer) -> Manifest:
    return seed.fill(seed.Size(connections=250, tenants=TENANTS), issuer.url, issuer.jwks_uri)


@pytest.fixture
def calls(manifest: Manifest, issuer: issuers.Issuer) -> Calls:
    return Calls(manifest, issuer)
