"""Reading and acting apart.

A console page reads inside the tenant's scope, in a transaction that PostgreSQL itself holds read-only. When a form
is good the view answers a `Deferred`; the middleware ends that transaction, acts, and reads again for the answer.
So the broker opens its own transactions as it does for every other entrypoint: no network call holds a database
connection, an intent is committed before the network is touched, and the record of a refusal or a fault stays
although the page failed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from django.db import connection
from django.http import HttpResponse

from apps.core.errors import PortalError
from apps.tenants.scope import tenant_scope

Answer = Callable[[], HttpResponse]


class Deferred(HttpResponse):
    """What a view answers when there is something to do. Only the middleware ever sees it."""

    def __init__(
        self,
        act: Callable[[], Any],
        *,
        done: Callable[[Any], HttpResponse],
        refused: Callable[[PortalError], HttpResponse],
    ) -> None:
        super().__init__(status=500)  # reaching a browser would be a fault
        self._act, self._done, self._refused = act, done, refused

    def act(self) -> Answer:
        """Do it, outside any scope, and return how to answer. Faults travel on."""
        try:
            outcome = self._act()
        except PortalError as refusal:
            kept = refusal
            return lambda: self._refused(kept)
        return lambda: self._done(outcome)


@contextmanager
def reading(tenant_id: UUID | None) -> Iterator[None]:
    """The scope a page is read and rendered in. A write in it is an error of the database, whoever tries.

    Without a tenant there is no scope, and tenants' tables cannot be read at all.
    """
    if tenant_id is None:
        yield
        return
    with tenant_scope(tenant_id):
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION READ ONLY")
        yield
