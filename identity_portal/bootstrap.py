"""Make `.venv` from the hashed lock file and start a command in it. Standard library only.

    python3 -I identity_portal/bootstrap.py run|dev -- COMMAND...

Run with `-I`: the modules beside this file (`logging`, `celery`) must not stand in for others of their name.
"""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 (runs with whatever `python3` is; nothing newer above this line)
    import os
    import shutil
    import subprocess

    for _minor in (14, 13, 12, 11):
        _newer = shutil.which("python3.%d" % _minor)  # noqa: UP031
        if _newer and subprocess.call([_newer, "-c", ""], stderr=subprocess.DEVNULL) == 0:
            os.execv(_newer, [_newer, "-I", *sys.argv])  # noqa: S606
    sys.exit("identity_portal needs Python 3.11 or newer; this is %d.%d." % sys.version_info[:2])  # noqa: UP031

import base64
import configparser
import contextlib
import fcntl
import hashlib
import html.parser
import importlib.util
import json
import os
import platform
import shutil
import signal
import ssl
import subprocess
import tempfile
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
LOCKS = {"run": "requirements.lock", "dev": "requirements-dev.lock"}
# Only for machines with neither uv nor ensurepip (Debian without python3-venv).
PIP_WHEEL = "pip-26.3-py3-none-any.whl"
PIP_SHA256 = "f3b60b20ffaadd4415ed7957212a38ac63fa4c5fa375bd0f4a797777940fad13"
NO_INSTALLER = "no pip to install with; install it once (Debian: apt install python3-venv) and repeat the command"
_TIMEOUT_S = 60
_PLACE = ".made-at"

_child: subprocess.Popen[bytes] | None = None


class BootstrapError(Exception):
    """The environment cannot be made; the text says what to do."""


def main(argv: list[str]) -> int:
    """Prepare the environment, then become the command."""
    if len(argv) < 3 or argv[0] not in LOCKS or argv[1] != "--":
        sys.stderr.write("usage: python3 -I identity_portal/bootstrap.py run|dev -- COMMAND...\n")
        return 2
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _interrupted)
    try:
        ensure(argv[0])
    except BootstrapError as problem:
        sys.stderr.write(f"identity_portal: {problem}\n")
        return 1
    except OSError as problem:
        sys.stderr.write(
            f"identity_portal: .venv cannot be prepared ({problem.strerror}: {problem.filename}); run `make` once as "
            "an account that may write to the checkout\n"
        )
        return 1
    os.chdir(ROOT)
    os.environ["VIRTUAL_ENV"] = str(VENV)
    os.environ["PATH"] = f"{VENV / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    for name in ("PYTHONHOME", "PYTHONSAFEPATH"):  # they would hide this project from its own interpreter
        os.environ.pop(name, None)
    sys.stderr.flush()
    os.execvp(argv[2], argv[2:])  # noqa: S606 (the Makefile's command)
    return 1


def ensure(kind: str) -> None:
    """Bring `.venv` up to date for `run` or `dev` (which contains `run`); at once if it already is."""
    with _alone():
        if PYTHON.exists() and any(_is_stamped(one) for one in (kind, "dev")):
            return
        say(f"preparing .venv from {LOCKS[kind]} (only when it changed)")
        for one in LOCKS:
            _stamp(one).unlink(missing_ok=True)
        _install(ROOT / LOCKS[kind])
        (VENV / _PLACE).write_text(str(VENV))
        _fetch_redis()
        _stamp(kind).write_text(_wanted(kind))


def _install(lock: Path) -> None:
    index = Index()
    uv = shutil.which("uv")
    if uv and _with_uv(uv, lock, index):
        return
    fresh = not _is_ours()
    if importlib.util.find_spec("ensurepip") is not None:
        if fresh and run([sys.executable, "-I", "-m", "venv", "--clear", str(VENV)]) != 0:
            raise BootstrapError("python -m venv failed (see above)")
        if run([str(PYTHON), "-I", "-m", "pip", "--version"], quiet=True) != 0:
            run([str(PYTHON), "-I", "-m", "ensurepip"], quiet=True)
        pip = ["-m", "pip"]
    else:
        if fresh and run([sys.executable, "-I", "-m", "venv", "--clear", "--without-pip", str(VENV)]) != 0:
            raise BootstrapError("python -m venv failed (see above)")
        pip = ["-m", "pip"]
        if run([str(PYTHON), "-I", *pip, "--version"], quiet=True) != 0:
            _add_pip(index)
    arguments = ["install", "--quiet", "--disable-pip-version-check", "--no-input", "--require-hashes"]
    arguments += ["--only-binary", ":all:", "--requirement", str(lock)]
    if run([str(PYTHON), "-I", *pip, *arguments], {"PIP_USER": "0"}) != 0:
        raise BootstrapError("the packages could not be installed (see above)")


def _with_uv(uv: str, lock: Path, index: "Index") -> bool:
    env = {"UV_PYTHON_DOWNLOADS": "never", **index.for_uv()}
    if not _is_ours() and run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(VENV)], env) != 0:
        return False
    install = [uv, "pip", "install", "--quiet", "--python", str(PYTHON), "--require-hashes"]
    if run([*install, "--only-binary", ":all:", "--requirement", str(lock)], env) == 0:
        return True
    say("uv could not install the packages; trying pip")
    return False


def _add_pip(index: "Index") -> None:
    """Put the pinned pip into the environment, from the configured package index."""
    with tempfile.TemporaryDirectory() as folder:
        wheel = Path(folder, PIP_WHEEL)
        content = index.fetch_wheel("pip", PIP_WHEEL)
        if content is None:
            raise BootstrapError(NO_INSTALLER)
        if hashlib.sha256(content).hexdigest() != PIP_SHA256:
            raise BootstrapError(f"{PIP_WHEEL} from the package index is not the expected file; nothing was run")
        wheel.write_bytes(content)
        arguments = ["install", "--quiet", "--disable-pip-version-check", "--no-index", str(wheel)]
        if run([str(PYTHON), "-I", f"{wheel}/pip", *arguments], {"PIP_USER": "0"}) != 0:
            raise BootstrapError("pip could not be installed (see above)")


def _fetch_redis() -> None:
    """Fetch a Redis program now, while the network is expected, if the machine has none. Not fatal here."""
    if os.environ.get("REDIS_URL") or shutil.which("redis-server") or shutil.which("valkey-server"):
        return
    run([str(PYTHON), "-m", "identity_portal.embedded.redis_install"])


class Index:
    """What pip's environment variables and configuration files say about where packages come from."""

    def __init__(self) -> None:
        self._settings: dict[str, str] = {}
        parser = configparser.RawConfigParser()
        with contextlib.suppress(configparser.Error, UnicodeDecodeError):
            parser.read(_config_files(), encoding="utf-8")
        for section in ("global", "install"):
            if parser.has_section(section):
                self._settings.update(parser.items(section))

    def setting(self, name: str) -> str:
        """Return one setting of pip, e.g. `index-url`; the environment wins over the files."""
        return os.environ.get("PIP_" + name.upper().replace("-", "_")) or self._settings.get(name, "")

    def for_uv(self) -> dict[str, str]:
        """Return the same as environment variables of uv, where uv itself was not configured."""
        same = {"UV_DEFAULT_INDEX": "index-url", "UV_INDEX": "extra-index-url", "UV_FIND_LINKS": "find-links"}
        same["SSL_CERT_FILE"] = "cert"
        known = {uv: self.setting(pip) for uv, pip in same.items()}
        known["UV_FIND_LINKS"] = ",".join(known["UV_FIND_LINKS"].split())
        # Every file is pinned by its hash, so the order of indexes decides nothing.
        known["UV_INDEX_STRATEGY"] = "unsafe-best-match"
        return {name: value for name, value in known.items() if value and not os.environ.get(name)}

    def fetch_wheel(self, project: str, file_name: str) -> bytes | None:
        """Return a file from the configured places, or None when none of them has it."""
        for folder in self.setting("find-links").split():
            path = Path(folder.removeprefix("file://"), file_name)
            if path.is_file():
                return path.read_bytes()
        indexes = [os.environ.get("UV_DEFAULT_INDEX", ""), self.setting("index-url")]
        for address in filter(None, [*indexes, *self.setting("extra-index-url").split()]):
            with contextlib.suppress(OSError, ValueError):
                page_url = f"{address.rstrip('/')}/{project}/"
                page, kind = self._get(page_url)
                for link in _links(page, kind):
                    absolute = urllib.parse.urljoin(page_url, link)
                    if urllib.parse.unquote(urllib.parse.urlsplit(absolute).path).endswith("/" + file_name):
                        return self._get(absolute)[0]
        return None

    def _get(self, address: str) -> tuple[bytes, str]:
        parts = urllib.parse.urlsplit(address)
        headers = {"Accept": "application/vnd.pypi.simple.v1+json, text/html;q=0.5, */*;q=0.1"}
        if parts.username:
            pair = f"{urllib.parse.unquote(parts.username)}:{urllib.parse.unquote(parts.password or '')}"
            headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
            parts = parts._replace(netloc=parts.netloc.rpartition("@")[2])
        context = ssl.create_default_context(cafile=self.setting("cert") or None)
        # The scheme is the operator's: `file:` indexes are as good as others, and the content is checked by hash.
        request = urllib.request.Request(urllib.parse.urlunsplit(parts), headers=headers)  # noqa: S310
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S, context=context) as answer:  # noqa: S310
            return answer.read(), answer.headers.get_content_type()


class _Anchors(html.parser.HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect the targets of links."""
        if tag == "a":
            self.found += [value for name, value in attrs if name == "href" and value]


def _links(page: bytes, kind: str) -> list[str]:
    """Return the file links of a project page: PEP 691 (JSON) or PEP 503 (HTML)."""
    if kind.endswith("json"):
        return [str(entry["url"]) for entry in json.loads(page).get("files", [])]
    anchors = _Anchors()
    anchors.feed(page.decode("utf-8", errors="replace"))
    return anchors.found


def _config_files() -> list[str]:
    """Return pip's configuration files, least important first."""
    only = os.environ.get("PIP_CONFIG_FILE")
    if only == os.devnull:
        return []
    home = Path.home()
    config = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
    files = [Path("/etc/xdg/pip/pip.conf"), Path("/etc/pip.conf")]
    files += [home / ".pip" / "pip.conf", config / "pip" / "pip.conf", Path(sys.prefix) / "pip.conf"]
    return [*map(str, files), *([only] if only else [])]


def _is_ours() -> bool:
    """Say whether `.venv` is a working environment of this very interpreter, made in this very place."""
    if not PYTHON.exists():
        return False
    place = VENV / _PLACE
    if place.exists() and place.read_text() != str(VENV):  # moved: the programs in it name the old path
        return False
    question = "import sys; print(sys.version, sys.base_prefix)"
    try:
        answer = subprocess.run([str(PYTHON), "-I", "-c", question], capture_output=True, text=True, check=False)
    except OSError:
        return False
    return answer.returncode == 0 and answer.stdout.strip() == f"{sys.version} {sys.base_prefix}".strip()


def _wanted(kind: str) -> str:
    digest = hashlib.sha256(f"{sys.version} {sys.base_prefix} {platform.machine()} {VENV}".encode())
    for name in dict.fromkeys((LOCKS["run"], LOCKS[kind])):
        digest.update((ROOT / name).read_bytes())
    return digest.hexdigest()


def _stamp(kind: str) -> Path:
    return VENV / f".made-for-{kind}"


def _is_stamped(kind: str) -> bool:
    stamp = _stamp(kind)
    return stamp.exists() and stamp.read_text() == _wanted(kind)


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """Let one process at a time prepare the environment; the lock ends with the process."""
    handle = os.open(ROOT, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def run(command: list[str], more: dict[str, str] | None = None, *, quiet: bool = False) -> int:
    """Run a command to its end, in the project's folder, and return its status."""
    global _child
    env = {**os.environ, **(more or {})}
    env.pop("PYTHONHOME", None)
    out = subprocess.DEVNULL if quiet else sys.stderr
    try:
        _child = subprocess.Popen(command, cwd=ROOT, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    except OSError:
        return 127
    status = _child.wait()
    _child = None
    return status


def say(text: str) -> None:
    """Tell the operator what takes time."""
    sys.stderr.write(f"identity_portal: {text}\n")
    sys.stderr.flush()


def _interrupted(number: int, frame: FrameType | None) -> None:
    del frame
    if _child is not None:
        _child.terminate()
    sys.exit(128 + number)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
