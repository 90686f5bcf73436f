"""The bootstrap finds pip where the operator said packages come from, and runs nothing it cannot verify."""

from __future__ import annotations

import base64
import http.server
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from identity_portal import bootstrap

WHEEL = "pip-1.0-py3-none-any.whl"
HTML = (
    f'<!doctype html><a href="/other/pip-0.9-py3-none-any.whl">old</a> <a href="../../files/{WHEEL}#sha256=00">new</a>'
)
CONTENT = b"the wheel"


class PackageIndex(http.server.BaseHTTPRequestHandler):
    """A package index behind basic authentication; says JSON to those who accept it, if it can."""

    speaks_json = False
    asked: list[str] = []

    def do_GET(self) -> None:
        self.asked.append(self.path)
        expected = "Basic " + base64.b64encode(b"user:p@ss").decode()
        if self.headers["Authorization"] not in (expected, None) or (
            self.path.startswith("/simple") and self.headers["Authorization"] != expected
        ):
            self.send_error(401)
        elif self.path == "/simple/pip/":
            kind = "application/vnd.pypi.simple.v1+json" if self.speaks_json else "text/html"
            listed = json.dumps({"files": [{"url": f"../../files/{WHEEL}"}]}) if self.speaks_json else HTML
            self._answer(listed.encode(), kind)
        elif self.path == f"/files/{WHEEL}":
            self._answer(CONTENT, "application/octet-stream")
        else:
            self.send_error(404)

    def _answer(self, body: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Stay quiet."""


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    for name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_CERT", "UV_DEFAULT_INDEX"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), PackageIndex)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://user:p%40ss@127.0.0.1:{server.server_address[1]}/simple"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize("speaks_json", [False, True])
def test_a_wheel_is_found_on_both_kinds_of_project_page(
    index: str, monkeypatch: pytest.MonkeyPatch, speaks_json: bool
) -> None:
    monkeypatch.setattr(PackageIndex, "speaks_json", speaks_json)
    monkeypatch.setenv("PIP_INDEX_URL", index)
    assert bootstrap.Index().fetch_wheel("pip", WHEEL) == CONTENT
    assert bootstrap.Index().fetch_wheel("pip", "pip-2.0-py3-none-any.whl") is None


def test_without_a_configured_index_nobody_is_asked(index: str) -> None:
    del index
    PackageIndex.asked.clear()
    assert bootstrap.Index().fetch_wheel("pip", WHEEL) is None
    assert PackageIndex.asked == []


def test_a_wheel_that_is_not_the_pinned_one_is_never_run(index: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", index)
    monkeypatch.setattr(bootstrap, "PIP_WHEEL", WHEEL)
    ran: list[list[str]] = []

    def run(command: list[str], *rest: object, **named: object) -> int:
        ran.append(command)
        return 0

    monkeypatch.setattr(bootstrap, "run", run)
    with pytest.raises(bootstrap.BootstrapError, match="not the expected file"):
        bootstrap._add_pip(bootstrap.Index())
    assert ran == []


def test_the_environment_wins_over_the_configuration_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "pip.conf"
    file.write_text("[global]\nindex-url = https://file.example/simple\nextra-index-url = https://more.example/%2F\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(file))
    monkeypatch.delenv("PIP_EXTRA_INDEX_URL", raising=False)
    monkeypatch.delenv("PIP_INDEX_URL", raising=False)
    for name in ("UV_DEFAULT_INDEX", "UV_INDEX"):
        monkeypatch.delenv(name, raising=False)
    assert bootstrap.Index().for_uv()["UV_DEFAULT_INDEX"] == "https://file.example/simple"
    assert bootstrap.Index().for_uv()["UV_INDEX"] == "https://more.example/%2F"
    monkeypatch.setenv("PIP_INDEX_URL", "https://environment.example/simple")
    assert bootstrap.Index().setting("index-url") == "https://environment.example/simple"


def test_a_changed_lock_file_or_interpreter_means_a_new_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in bootstrap.LOCKS.values():
        (tmp_path / name).write_text("django==5.2\n")
    monkeypatch.setattr(bootstrap, "ROOT", tmp_path)
    before = {kind: bootstrap._wanted(kind) for kind in bootstrap.LOCKS}
    (tmp_path / "requirements-dev.lock").write_text("django==5.3\n")
    assert bootstrap._wanted("run") == before["run"]
    assert bootstrap._wanted("dev") != before["dev"]
    monkeypatch.setattr(sys, "version", "3.99")
    assert bootstrap._wanted("run") != before["run"]


def test_it_needs_nothing_but_the_standard_library_and_is_not_fooled_by_its_neighbours() -> None:
    script = Path(bootstrap.__file__)
    done = subprocess.run([sys.executable, "-I", "-S", str(script)], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("usage:")


def test_a_checkout_that_cannot_be_written_is_one_line_that_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(kind: str) -> None:
        Path("/proc/identity-portal/.made-at").write_text(kind)

    monkeypatch.setattr(bootstrap, "ensure", refused)
    monkeypatch.setattr(bootstrap.signal, "signal", lambda *_: None)
    assert bootstrap.main(["run", "--", "true"]) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "may write to the checkout" in said and "Traceback" not in said
