"""From a host name to the addresses that may be dialled."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Sequence

from apps.core.net.addresses import why_forbidden
from apps.core.net.deadlines import Deadline
from apps.core.net.failures import name_unknown
from apps.core.net.urls import OutboundUrl, forbidden_address

Resolver = Callable[[str, int], Sequence[str]]
MAX_TRIED = 4
# getaddrinfo cannot be interrupted, so an overdue look-up keeps its thread until the C library gives up.
_LOOKUPS_AT_ONCE = threading.BoundedSemaphore(64)


def system_resolver(host: str, port: int) -> list[str]:
    """Ask the operating system, once. Duplicates removed, its order of preference kept."""
    answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in answers))


def vetted_addresses(url: OutboundUrl, resolver: Resolver, deadline: Deadline) -> list[str]:
    """The addresses to dial for this URL, at most four, each of them checked.

    One bad address among the answers refuses the whole host: a name that is public and internal at once is an
    attempt to be checked with the one and connected with the other. The caller must dial what is returned here
    and not resolve again, or a rebinding name server answers differently the second time.

    Raises Invalid `url_forbidden_address`, NoAnswer `upstream_name_unknown`, TimeoutError past the deadline.
    """
    literal = url.literal
    found = [str(literal)] if literal is not None else _in_time(resolver, url, deadline)
    if not found:
        raise name_unknown(private=url.host)
    for address in found:
        if why := why_forbidden(address, private_ok=url.private_ok):
            raise forbidden_address(f"{url.host} resolves to {address}: {why}")
    return found[:MAX_TRIED]


def _in_time(resolver: Resolver, url: OutboundUrl, deadline: Deadline) -> list[str]:
    answer: list[str] = []
    problem: list[OSError | UnicodeError] = []

    def look_up() -> None:
        try:
            answer.extend(resolver(url.host, url.port))
        except (OSError, UnicodeError) as failed:  # handed to the caller's thread below
            problem.append(failed)
        finally:
            _LOOKUPS_AT_ONCE.release()

    if not _LOOKUPS_AT_ONCE.acquire(timeout=deadline.left_s()):
        raise TimeoutError("look-up slots")
    worker = threading.Thread(target=look_up, name="name-lookup", daemon=True)
    try:
        worker.start()
    except RuntimeError:
        _LOOKUPS_AT_ONCE.release()
        raise
    worker.join(deadline.left_s())
    if worker.is_alive():
        raise TimeoutError("look-up")
    if problem:
        raise name_unknown(private=f"{url.host}: {type(problem[0]).__name__}") from problem[0]
    return answer
