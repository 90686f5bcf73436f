"""The HTTP server underneath."""

from __future__ import annotations

import socket
import threading

import requests

from apps.demo_hub.driver import HubClient, HubProcess, Person


def exchange(hub: HubProcess, *requests_sent: bytes) -> bytes:
    host, _, port = hub.host_port.rpartition(":")
    received = b""
    with socket.create_connection((host, int(port)), timeout=20) as line:
        for sent in requests_sent:
            line.sendall(sent)
        line.shutdown(socket.SHUT_WR)
        while chunk := line.recv(65_536):
            received += chunk
    return received


def test_one_connection_carries_several_requests(hub: HubProcess) -> None:
    one = b"GET /jwks HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    assert exchange(hub, one, one, one).count(b"HTTP/1.1 200 OK") == 3


def test_a_body_nobody_reads_does_not_become_the_next_request(hub: HubProcess) -> None:
    smuggled = b"GET /jwks HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    post = b"POST /nothing HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n\r\n" % len(smuggled)
    answers = exchange(hub, post + smuggled)
    assert answers.count(b"HTTP/1.1 ") == 1 and b" 404 " in answers


def test_ambiguous_and_oversized_bodies_are_refused(hub: HubProcess) -> None:
    head = b"POST /token HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    assert b" 411 " in exchange(hub, head + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
    assert b" 413 " in exchange(hub, head + b"Content-Length: 99999999\r\n\r\n")
    assert b" 400 " in exchange(hub, head + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab")
    assert b" 400 " in exchange(hub, head + b"Content-Length: -1\r\n\r\n")


def test_another_host_name_is_refused(hub: HubProcess) -> None:
    """DNS rebinding: a web page whose name was pointed at this machine."""
    assert requests.get(f"{hub.url}/jwks", headers={"Host": "evil.example"}, timeout=20).status_code == 400
    assert requests.get(f"{hub.url}/jwks", timeout=20).status_code == 200


def test_head_has_no_body(hub: HubProcess) -> None:
    answer = requests.head(f"{hub.url}/jwks", timeout=20)
    assert answer.status_code == 200 and answer.content == b"" and int(answer.headers["Content-Length"]) > 0


def test_requests_run_side_by_side(hub: HubProcess, client: HubClient) -> None:
    hub.switch(client, slow_ms=4_000)
    slow = threading.Thread(target=hub.token_request, args=(client,), kwargs={"grant_type": "client_credentials"})
    slow.start()
    assert requests.get(f"{hub.url}/jwks", timeout=3.5).status_code == 200
    slow.join()


def test_one_refresh_token_used_by_many_at_once_is_redeemed_once(
    hub: HubProcess, client: HubClient, dana: Person
) -> None:
    tokens = dana.get_tokens(client)
    start, statuses = threading.Barrier(6), list[int]()

    def use() -> None:
        start.wait()
        form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
        auth = (client.client_id, client.client_secret)
        statuses.append(requests.post(f"{hub.url}/token", data=form, auth=auth, timeout=20).status_code)

    threads = [threading.Thread(target=use) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [200] + [400] * 5
    (grant,) = hub.grants(client)
    assert grant["refreshes"] == 1 and grant["ended_because"] == "refresh_token_reused"
    assert grant["live_access_tokens"] == 0
