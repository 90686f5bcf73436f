"""Drive one server for some seconds: `wrk` where it is installed, else a small generator of our own."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

CONNECTIONS = 16
HOW_TO_GET_WRK = "wrk is not installed (Debian: apt install wrk); using the slower built-in load generator"

_LUA = """
local requests = {
%s
}
local next_one = 0
function request()
  next_one = next_one %% #requests + 1
  return requests[next_one]
end
function done(summary, latency, all)
  local e = summary.errors
  io.stderr:write(string.format(
    '{"requests":%%d,"duration_us":%%d,"p50_us":%%d,"p99_us":%%d,"failed":%%d,"refused":%%d,"timed_out":%%d}',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    e.connect + e.read + e.write + e.status + e.timeout, e.status, e.timeout))
end
"""


class LoadFailed(RuntimeError):
    """A request was not answered with 2xx, or not at all: the cell says nothing."""


@dataclass(frozen=True)
class Load:
    """What one period of load came to. Latencies in milliseconds."""

    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float

    @property
    def per_second(self) -> float:
        return self.requests / self.seconds


def drive(url: str, requests: list[bytes], *, seconds: float, connections: int = CONNECTIONS) -> Load:
    """Replay the requests round and round on keep-alive connections, closed loop. Raises LoadFailed."""
    wrk = shutil.which("wrk")
    text = (
        _with_wrk(wrk, url, requests, seconds, connections) if wrk else _with_ours(url, requests, seconds, connections)
    )
    found = json.loads(text)
    if found["failed"] or not found["requests"]:
        why = {name: found[name] for name in ("refused", "timed_out") if found.get(name)}
        raise LoadFailed(f"{found['failed']} of {found['requests']} requests failed {why or ''}")
    return Load(
        requests=found["requests"],
        seconds=found["duration_us"] / 1e6,
        p50_ms=found["p50_us"] / 1e3,
        p99_ms=found["p99_us"] / 1e3,
    )


def _with_wrk(wrk: str, url: str, requests: list[bytes], seconds: float, connections: int) -> str:
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(_LUA % ",\n".join(map(_lua_text, requests)))
        script.flush()
        command = [wrk, "-t", "1", "-c", str(connections), "-d", f"{round(seconds)}s", "-s", script.name, url]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0 or not done.stderr.startswith("{"):
        raise LoadFailed(f"wrk: {done.stderr or done.stdout}")
    return done.stderr


def _lua_text(raw: bytes) -> str:
    return (
        '"' + "".join(f"\\{byte:03d}" if byte < 32 or byte > 126 or byte in b'"\\' else chr(byte) for byte in raw) + '"'
    )


def _with_ours(url: str, requests: list[bytes], seconds: float, connections: int) -> str:
    with tempfile.NamedTemporaryFile("w", suffix=".json") as script:
        json.dump([raw.decode("latin-1") for raw in requests], script)
        script.flush()
        arguments = [url, script.name, str(seconds), str(connections)]
        generator = str(Path(__file__).with_name("generator.py"))
        done = subprocess.run([sys.executable, generator, *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise LoadFailed(done.stderr)
    return done.stdout
