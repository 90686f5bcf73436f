"""`python -m apps.demo_hub`: run Demo Hub until SIGTERM or SIGINT."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from importlib import import_module
from pathlib import Path
from types import FrameType

from .home import Home, HomeUnusable
from .hub import Hub
from .running import install
from .server import Server
from .settings import configure

_LAST_ANSWERS_S = 5.0
_PASSWORD = "DEMO_HUB_PASSWORD_"


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m apps.demo_hub",
        description="Demo Hub: a third-party OAuth 2.0 / OpenID provider and API for demonstrations and tests.",
        epilog=f"{_PASSWORD}<NAME> in the environment sets the password of a seeded person.",
    )
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one (default)")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default 127.0.0.1)")
    parser.add_argument("--home", type=Path, help="folder to keep state in; without one, all is forgotten at the end")
    parser.add_argument("--public-url", default="", help="the issuer, if it is not http://HOST:PORT")
    parser.add_argument(
        "--until-stdin-closes", action="store_true", help="stop when standard input ends, as when the parent dies"
    )
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    """Run; returns the exit status."""
    asked = _arguments(argv)
    os.umask(0o077)
    try:
        server = Server(asked.host, asked.port)
        home = Home(asked.home) if asked.home else None
        shown_host = f"[{asked.host}]" if ":" in asked.host else asked.host
        here = f"http://{shown_host}:{server.server_port}"
        url = asked.public_url.rstrip("/") or here
        given = {k.removeprefix(_PASSWORD).lower(): v for k, v in os.environ.items() if k.startswith(_PASSWORD) and v}
        hub = Hub(url=url, home=home, passwords=given)
    except (HomeUnusable, OSError, OverflowError) as wrong:
        sys.stderr.write(f"Demo Hub cannot start: {wrong}\n")
        return 1
    install(hub)
    configure(url, asked.host)
    from django.core.wsgi import get_wsgi_application  # needs the settings

    server.application_to_run = get_wsgi_application()
    import_module("apps.demo_hub.urls")  # now, rather than while the first caller waits

    def stop(number: int = 0, frame: FrameType | None = None) -> None:
        # shutdown() waits for serve_forever(), which runs in the thread that this interrupts
        threading.Thread(target=server.shutdown, daemon=True).start()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)  # set explicitly: a background job inherits SIGINT as ignored
    if asked.until_stdin_closes:
        threading.Thread(target=_wait_for_the_end_of_input, args=(server,), daemon=True).start()
    # Whoever holds our standard input reads this line. Elsewhere it could be a terminal, and the home has the key.
    control = f"CONTROL {hub.control_key}\n" if asked.until_stdin_closes or not home else ""
    sys.stdout.write(f"LISTENING {here}\n{control}")
    sys.stdout.flush()
    server.serve_forever(poll_interval=0.1)
    server.server_close()
    server.drain(_LAST_ANSWERS_S)
    if home:
        home.close()
    return 0


def _wait_for_the_end_of_input(server: Server) -> None:
    while os.read(0, 4096):  # not sys.stdin: its lock would be held while the interpreter ends
        pass
    server.shutdown()


if __name__ == "__main__":
    sys.exit(main())
