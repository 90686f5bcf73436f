"""Every method of every address of the REST API, with something to send."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from apps.entrypoints.rest.operation import Operation
from apps.entrypoints.rest.urls import endpoints

_METHODS = ("get", "post", "put", "patch", "delete")


@dataclass(frozen=True)
class Route:
    method: str
    path: str  # with {labels}
    operation: Operation
    make: Any

    def __str__(self) -> str:
        return self.operation.id

    @property
    def labels(self) -> list[str]:
        return re.findall(r"{(\w+)}", self.path)

    def at(self, **labels: str) -> str:
        return self.path.format(**labels)

    @property
    def body(self) -> Any:
        return self.operation.example


def all_routes() -> list[Route]:
    found = []
    for pattern in endpoints:
        path = "/" + re.sub(r"<\w+:(\w+)>", r"{\1}", str(pattern.pattern))
        view = pattern.callback.cls
        for method in _METHODS:
            handler = getattr(view, method, None)
            if handler is not None:
                found.append(Route(method.upper(), path, handler.operation, view))
    return found


ROUTES = all_routes()
