"""A load generator for machines without wrk: two processes, each with half of the connections. Standard library only.

    python generator.py URL REQUESTS.json SECONDS CONNECTIONS

Closed loop: a connection sends its next request when the answer to the last one is complete. Prints one JSON
object as `load.py` reads it.
"""

from __future__ import annotations

import json
import multiprocessing
import re
import selectors
import socket
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

_PROCESSES = 2
_length = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE).search


class _Peer:
    """One keep-alive connection with at most one request under way."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.socket = socket.create_connection(address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.received = b""
        self.sent_at = 0.0

    def send(self, request: bytes) -> None:
        self.received = b""
        self.sent_at = time.perf_counter()
        self.socket.sendall(request)

    def status(self) -> int | None:
        """The status when the answer is complete, None while it is not, 0 when the connection is gone."""
        chunk = self.socket.recv(65536)
        if not chunk:
            return 0
        self.received += chunk
        end = self.received.find(b"\r\n\r\n")
        if end < 0:
            return None
        length = _length(self.received, 0, end + 2)
        if len(self.received) - end - 4 < (int(length[1]) if length else 0):
            return None
        return int(self.received[9:12])


def _work(address: tuple[str, int], requests: list[bytes], seconds: float, connections: int, results: object) -> None:
    took: list[float] = []
    failed = 0
    at = 0
    with selectors.DefaultSelector() as ready:
        start = time.perf_counter()
        for _ in range(connections):
            peer = _Peer(address)
            ready.register(peer.socket, selectors.EVENT_READ, peer)
            peer.send(requests[at % len(requests)])
            at += 1
        while ready.get_map() and time.perf_counter() - start < seconds:
            for key, _ in ready.select(timeout=1.0):
                peer = key.data
                status = peer.status()
                if status is None:
                    continue
                took.append(time.perf_counter() - peer.sent_at)
                failed += not 200 <= status < 300
                if status == 0:
                    ready.unregister(peer.socket)
                    continue
                peer.send(requests[at % len(requests)])
                at += 1
        duration = time.perf_counter() - start
    results.put((took, failed, duration))  # type: ignore[attr-defined]


def main() -> None:
    url, path, seconds, connections = sys.argv[1:]
    parts = urlsplit(url)
    address = (parts.hostname or "127.0.0.1", parts.port or 80)
    requests = [text.encode("latin-1") for text in json.loads(Path(path).read_text())]
    results: multiprocessing.Queue[tuple[list[float], int, float]] = multiprocessing.Queue()
    share = max(1, int(connections) // _PROCESSES)
    workers = [
        multiprocessing.Process(
            target=_work,
            args=(address, requests[index::_PROCESSES] or requests, float(seconds), share, results),
        )
        for index in range(_PROCESSES)
    ]
    for worker in workers:
        worker.start()
    found = [results.get() for _ in workers]
    for worker in workers:
        worker.join()
    took = sorted(one for times, _, _ in found for one in times)
    answer = {
        "requests": len(took),
        "duration_us": int(1e6 * max(duration for _, _, duration in found)),
        "p50_us": int(1e6 * took[len(took) // 2]) if took else 0,
        "p99_us": int(1e6 * took[len(took) * 99 // 100]) if took else 0,
        "failed": sum(failed for _, failed, _ in found),
    }
    sys.stdout.write(json.dumps(answer))


if __name__ == "__main__":
    main()
