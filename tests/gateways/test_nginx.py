"""The nginx configuration of `deploy/`, in a real nginx, in front of a real agent, asking the running portal."""

from __future__ import annotations

import os
import re
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests
import trustme

from tests.fakes.issuer import Issuer
from tests.security.doors import Door

CONFIG = Path(__file__).resolve().parents[2] / "deploy" / "nginx-forward-auth.conf"
NGINX = shutil.which("nginx") or "/usr/sbin/nginx"
if not Path(NGINX).exists():
    pytest.skip("nginx is not installed here", allow_module_level=True)


class Agent:
    """Something that listens and remembers what reached it."""

    def __init__(self) -> None:
        self.seen: list[dict[str, str]] = []
        agent = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                agent.seen.append({name.lower(): value for name, value in self.headers.items()})
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def port(self) -> int:
        return self.server.server_address[1]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Front:
    """A running nginx."""

    def __init__(self, url: str, ca: str, agent: Agent, door: Door) -> None:
        self.url, self.ca, self.agent, self.door = url, ca, agent, door

    def call(self, token: str | None, **headers: str) -> requests.Response:
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        return requests.post(f"{self.url}/invocations", data=b'{"prompt": "hi"}', headers=headers, verify=self.ca)


@pytest.fixture
def front(portal: Any, acme: Any, issuer: Issuer, tmp_path: Path) -> Iterator[Front]:
    door = Door(acme, issuer, scopes=("agent:invoke",))
    agent = Agent()
    port = free_port()
    ca = trustme.CA()
    cert = ca.issue_cert("localhost")
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    cert.private_key_pem.write_to_path(str(tmp_path / "key.pem"))
    cert.cert_chain_pems[0].write_to_path(str(tmp_path / "cert.pem"))
    text = CONFIG.read_text()
    for old, new in {
        "server 127.0.0.1:8080;": f"server {portal.url.removeprefix('http://')};",
        "server 127.0.0.1:9000;": f"server 127.0.0.1:{agent.port};",
        "listen 443 ssl;": f"listen 127.0.0.1:{port} ssl;",
        "agents.example.org": "localhost",
        "/etc/ssl/agents/fullchain.pem": str(tmp_path / "cert.pem"),
        "/etc/ssl/agents/privkey.pem": str(tmp_path / "key.pem"),
        "GATEWAY_KEY": door.key,
    }.items():
        assert old in text, old
        text = text.replace(old, new)
    temp = "".join(
        f"{kind}_temp_path {tmp_path}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    config = tmp_path / "nginx.conf"
    config.write_text(
        f"daemon off; pid {tmp_path}/pid; error_log {tmp_path}/error.log; worker_processes 1;\n"
        f"{'user root;' if os.geteuid() == 0 else ''}\nevents {{}}\nhttp {{ access_log off;\n{temp}{text}\n}}\n"
    )
    process = subprocess.Popen([NGINX, "-c", str(config), "-p", str(tmp_path), "-e", str(tmp_path / "error.log")])
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                assert process.poll() is None and time.monotonic() < deadline, (tmp_path / "error.log").read_text()
                time.sleep(0.05)
        yield Front(f"https://localhost:{port}", str(tmp_path / "ca.pem"), agent, door)
    finally:
        process.terminate()
        process.wait(10)
        agent.server.shutdown()
        agent.server.server_close()


def test_the_file_is_what_nginx_accepts_and_needs_nothing_but_values(front: Front) -> None:
    """Needs nginx. The fixture changed values only."""
    assert ssl.OPENSSL_VERSION and re.search(r"auth_request ", CONFIG.read_text())


def test_nginx_lets_a_good_token_through_with_a_workload_token(front: Front, issuer: Issuer) -> None:
    answer = front.call(issuer.token())
    assert (answer.status_code, answer.content) == (200, b'{"prompt": "hi"}')
    (seen,) = front.agent.seen
    assert seen["workloadaccesstoken"].startswith("awt_")
    assert "x-portal-gateway-key" not in seen
    assert "workloadaccesstoken" not in {name.lower() for name in answer.headers}


def test_nginx_keeps_everybody_else_out_and_says_why_as_the_rfcs_want(front: Front, issuer: Issuer) -> None:
    nothing = front.call(None)
    assert nothing.status_code == 401
    assert nothing.headers["WWW-Authenticate"].startswith("Bearer ")
    assert "resource_metadata=" in nothing.headers["WWW-Authenticate"]
    bad = front.call(issuer.token(exp=5))
    assert bad.status_code == 401 and 'error="invalid_token"' in bad.headers["WWW-Authenticate"]
    narrow = front.call(issuer.token(scope="profile"))
    assert narrow.status_code == 403 and 'error="insufficient_scope"' in narrow.headers["WWW-Authenticate"]
    assert front.agent.seen == []


def test_nginx_overwrites_a_workload_token_that_the_caller_brings(front: Front, issuer: Issuer) -> None:
    stolen = "awt_" + "0" * 61
    brought = {
        "WorkloadAccessToken": stolen,
        "X-Amz-Bedrock-AgentCore-Identity-WAT": stolen,
        "X-Portal-Gateway-Key": "agk_guess",
    }
    assert front.call(issuer.token(), **brought).status_code == 200
    assert stolen not in front.agent.seen[-1].values()
    assert front.call(None, **brought).status_code == 401


def test_nginx_lets_nobody_in_while_the_authorizer_is_off(front: Front, issuer: Issuer) -> None:
    from apps.broker.inbound import contracts as c
    from apps.broker.run import run

    token = issuer.token()
    assert front.call(token).status_code == 200
    run(c.SwitchAuthorizer(agent=front.door.agent, active=False), front.door.owner)
    assert front.call(token).status_code == 401
    assert len(front.agent.seen) == 1
