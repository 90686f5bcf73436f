"""What the portal's processes write about requests that go wrong. (After every other case the log is looked at too.)"""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.security.lab import Lab, log_of, must


@pytest.mark.case("G1")
def test_G1_no_secret_is_in_the_log(lab: Lab, portal: Any) -> None:
    flow = lab.start()
    url = lab.to_callback(flow)
    state, code = re.findall(r"(?:state|code)=([^&]+)", url)
    lab.dana.open(url)
    must(lab.complete(flow))
    # Requests that go wrong are the ones that are logged.
    lab.dana.open(url)
    lab.dana.open(f"{lab.portal.url}/connect/{flow.ticket}/nothing-here")
    lab.dana.open(f"{lab.portal.url}/signin/?password=canary-password-in-the-address")
    lab.wire.sign_raw("POST", f"/identities/GetWorkloadIdentity?token={flow.wat}", b"{}").send()
    lab.ask(flow.wat + "x")
    log = log_of(portal)
    secrets = {
        "state": state,
        "code": code,
        "workload token": flow.wat,
        "ticket": flow.ticket,
        "client secret": lab.client.client_secret,
        "API key": lab.api_key,
        "access key": lab.wire.secret,
        "access token": must(lab.ask(flow.wat))["accessToken"],
        "password": "canary-password-in-the-address",
    }
    assert [name for name, secret in secrets.items() if secret in log] == []
