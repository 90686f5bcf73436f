"""The benchmark's own parts: a number nobody checked is worth nothing."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from benchmarks import load, pgbench, report
from benchmarks.measure import Cell


class _Server(ThreadingHTTPServer):
    broken = False


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        body = b"ok"
        self.send_response(503 if self.server.broken else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    running = _Server(("127.0.0.1", 0), _Handler)
    threading.Thread(target=running.serve_forever, daemon=True).start()
    yield running
    running.shutdown()
    running.server_close()


@pytest.mark.parametrize("tool", ["wrk", "ours"])
def test_load_counts_and_one_refusal_fails_it(server, tool, monkeypatch):
    import shutil

    if tool == "wrk" and not shutil.which("wrk"):
        pytest.skip("wrk is not installed")
    if tool == "ours":
        monkeypatch.setattr(load.shutil, "which", lambda name: None)
    url = f"http://127.0.0.1:{server.server_port}"
    requests = [f'GET /{name} HTTP/1.1\r\nHost: x\r\nX-Odd: "\\\r\n\r\n'.encode() for name in "abc"]
    found = load.drive(url, requests, seconds=1, connections=4)
    assert found.requests > 10 and found.per_second == found.requests / found.seconds
    assert 0 < found.p50_ms <= found.p99_ms
    server.broken = True
    with pytest.raises(load.LoadFailed):
        load.drive(url, requests, seconds=1, connections=4)


def _cell(per_second, cpu=1.0):
    return Cell(per_second=per_second, p50_ms=1, p99_ms=2, server_ms=cpu, database_ms=0, others=0)


def test_ratios_are_taken_within_a_round():
    cells = {"a": [_cell(10), _cell(1), _cell(6)], "b": [_cell(100), _cell(10), _cell(20)]}
    assert report.ratio(cells, "a", "b") == report.Spread(0.1, 0.1, 0.3)


def test_a_gate_stands_on_the_right_side():
    assert report.Gate("x", 1.25, 1.25).holds and not report.Gate("x", 1.26, 1.25).holds
    assert report.Gate("x", 0.15, 0.15, at_most=False).holds
    assert report.Gate("x", 0.14, 0.15, at_most=False).text().startswith("FAIL")


def test_values_for_pgbench_read_back_as_they_were():
    from datetime import UTC, datetime

    from django.db import connection
    from psycopg.types.json import Jsonb

    values = [b"\x00\xff", ["a b", 'c"d'], Jsonb({"x": ["y"]}), datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC), "e"]
    texts = pgbench.as_variables(values)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT %s::text::bytea, %s::text::text[], %s::text::jsonb, %s::text::timestamptz, %s::text", texts
        )
        read = cursor.fetchone()
    assert json.loads(read[2]) == {"x": ["y"]}
    assert [bytes(read[0]), *read[1:2], *read[3:]] == [values[0], values[1], values[3], values[4]]
