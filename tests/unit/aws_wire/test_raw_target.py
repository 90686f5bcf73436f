"""The raw request under the servers we run on, as they really behave."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest

from apps.authn.sigv4 import derive_signing_key, parse, verify
from apps.core.errors import PortalError
from apps.core.secret import Secret
from apps.entrypoints.aws_wire.raw_target import headers, raw_path, raw_request

from ..sigv4.signing import NOW, SECRET, header, signed

ROOT = Path(__file__).resolve().parents[3]
APP = "tests.unit.aws_wire.echo_app:app"
LABEL = "arn%3Aaws%3Abedrock-agentcore%3Alocal%3A123456789012%3Atoken-vault%2Fdefault%2Fx%20%C3%A9"


class Quiet(WSGIRequestHandler):
    def log_message(self, *arguments: Any) -> None:
        """Tests are quiet."""


@pytest.fixture(scope="module")
def granian_port() -> Iterator[int]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    server = subprocess.Popen(
        f"{sys.executable} -m granian --interface wsgi --no-log --host 127.0.0.1 --port {port} {APP}".split(),
        cwd=ROOT,
        env={**os.environ, "HTTP_X_FROM_THE_ENVIRONMENT": "leaks"},
    )
    try:
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                time.sleep(0.05)
        yield port
    finally:
        server.terminate()
        server.wait(timeout=15)


@pytest.fixture(scope="module")
def wsgiref_port() -> Iterator[int]:
    from .echo_app import app

    with make_server("127.0.0.1", 0, app, handler_class=Quiet) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join(timeout=5)


@pytest.fixture(params=["granian_port", "wsgiref_port"])
def port(request: pytest.FixtureRequest) -> int:
    return int(request.getfixturevalue(request.param))


def ask(port: int, method: str, target: str, lines: list[tuple[str, str]] = [], body: bytes = b"") -> dict[str, Any]:  # noqa: B006
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
    for name, value in lines or [("Host", "h")]:
        connection.putheader(name, value)
    connection.endheaders(body or None)
    answer: dict[str, Any] = json.loads(connection.getresponse().read())
    connection.close()
    return answer


def values(answer: dict[str, Any], name: str) -> list[str]:
    return [value for key, value in answer["headers"] if key == name]


@pytest.mark.parametrize(
    "target",
    [
        "/identities/oauth2/token",
        "/t/acme/identities/GetWorkloadIdentity",
        f"/tags/{LABEL}",
        f"/t/acme/tags/{LABEL}",
        f"/resourcepolicy/{LABEL}",
        f"/runtimes/{LABEL}/invocations",
        "/runtimes/rt-1/runtime-endpoints/ep-1/",
        "/identities//x",
        "/a/./b",
        "/a/../b",
        "/",
    ],
)
def test_what_aws_clients_send_is_recovered_exactly(port: int, target: str) -> None:
    answer = ask(port, "POST", f"{target}?a=b%20c&a=%2F&%7e")
    assert (answer["path"], answer["query"]) == (target, "a=b%20c&a=%2F&%7e")


def test_a_double_slash_at_the_start_is_kept_by_granian(granian_port: int) -> None:
    """wsgiref folds it into one; there the signature over the sent path fails instead."""
    assert ask(granian_port, "POST", "//identities/x")["path"] == "//identities/x"


def test_the_finding_itself_servers_decode_the_path_and_give_no_raw_key(port: int) -> None:
    """If this fails the server has learnt to give the raw target, and the fallback can go."""
    answer = ask(port, "GET", "/tags/a%2Fb%41")
    assert answer["raw_keys"] == [] and answer["path_info"] == "/tags/a/bA"


def test_a_needless_escape_arrives_as_the_plain_spelling(port: int) -> None:
    assert ask(port, "POST", "/identities/%47etWorkloadIdentity")["path"] == "/identities/GetWorkloadIdentity"


def test_an_encoded_slash_in_a_fixed_path_becomes_a_path_its_signer_did_not_sign(port: int) -> None:
    assert ask(port, "POST", "/identities%2Fapi-key")["path"] == "/identities/api-key"
    request = signed("POST", "/identities%2Fapi-key")
    parsed = parse(request)
    with pytest.raises(PortalError):
        verify(
            parsed,
            raw_request({**environ_of(request), "PATH_INFO": "/identities/api-key"}, request.body),
            derive_signing_key(Secret(SECRET), parsed.date, parsed.region, parsed.service),
            now=NOW,
        )


@pytest.mark.case("T031")
@pytest.mark.parametrize("name", ["Authorization", "X-Amz-Date", "Host", "X-Amz-Content-SHA256"])
@pytest.mark.parametrize("same", [True, False])
@pytest.mark.parametrize("first", [True, False])
def test_T031_copies_that_the_server_joined_are_seen_as_copies(
    granian_port: int, name: str, same: bool, first: bool
) -> None:
    request = signed(headers={"X-Amz-Content-SHA256": "UNSIGNED-PAYLOAD"})
    copy = (name, header(request, name) if same else "Bearer x")
    lines = [copy, *request.headers] if first else [*request.headers, copy]
    answer = ask(granian_port, "POST", "/identities/CreateWorkloadIdentity", lines, request.body)
    assert sorted(values(answer, name.lower())) == sorted([header(request, name), copy[1]])


def test_a_body_that_arrives_in_pieces_is_read_whole(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as line:
        line.sendall(b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 60000\r\nConnection: close\r\n\r\n")
        for _ in range(6):
            time.sleep(0.02)
            line.sendall(b"x" * 10_000)
        with line.makefile("rb") as answer:
            text = answer.read()
    assert json.loads(text.partition(b"\r\n\r\n")[2])["body"] == "x" * 60_000


def test_one_proof_with_its_own_commas_stays_one(port: int) -> None:
    request = signed()
    answer = ask(port, "POST", "/identities/CreateWorkloadIdentity", request.headers, request.body)
    assert values(answer, "authorization") == [header(request, "Authorization")]
    assert answer["body"].encode("latin-1") == request.body


def test_a_header_spelt_with_underscores_cannot_stand_beside_the_real_one(granian_port: int) -> None:
    """The two share a key; only one value survives, so a signature over the other fails."""
    answer = ask(granian_port, "GET", "/", [("Host", "h"), ("X-Amz-Date", "real"), ("x_amz_date", "fake")])
    assert len(values(answer, "x-amz-date")) == 1


def test_the_process_environment_shows_up_as_headers_under_granian(granian_port: int) -> None:
    """Why whoever starts the server must drop HTTP_* variables."""
    assert values(ask(granian_port, "GET", "/"), "x-from-the-environment") == ["leaks"]


def environ_of(request: Any) -> dict[str, Any]:
    environ = {"HTTP_" + name.upper().replace("-", "_"): value for name, value in request.headers}
    environ["CONTENT_TYPE"] = environ.pop("HTTP_CONTENT_TYPE", "")
    environ["CONTENT_LENGTH"] = environ.pop("HTTP_CONTENT_LENGTH", "")
    return {
        **environ,
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": request.raw_path,
        "QUERY_STRING": request.raw_query,
    }


@pytest.mark.parametrize("key", ["RAW_URI", "REQUEST_URI"])
def test_a_raw_key_is_believed_only_if_it_is_this_request(key: str) -> None:
    environ = {"PATH_INFO": "/identities/GetX", "QUERY_STRING": ""}
    assert raw_path({**environ, key: "/identities/%47etX?a=1"}) == "/identities/%47etX"
    assert raw_path({**environ, key: "http://h:1/identities/%47etX"}) == "/identities/%47etX"
    assert raw_path({**environ, key: "/identities/Other"}) == "/identities/GetX"
    assert raw_path({**environ, key: ""}) == "/identities/GetX"


def test_absent_body_headers_are_absent() -> None:
    assert headers({"CONTENT_TYPE": "", "CONTENT_LENGTH": "", "HTTP_HOST": "h", "PATH": "/bin"}) == [("host", "h")]


def test_header_work_is_bounded() -> None:
    long = "AWS4-HMAC-SHA256 Credential=a, SignedHeaders=b, Signature=c," * 5_000
    begin = time.perf_counter()
    assert headers({"HTTP_AUTHORIZATION": long}) == [("authorization", long)]
    short = long[:8_000]
    assert headers({"HTTP_AUTHORIZATION": short}) == [("authorization", short)]
    assert time.perf_counter() - begin < 0.05
