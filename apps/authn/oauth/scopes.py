"""The toolkit's view of our list of scopes."""

from __future__ import annotations

from typing import Any

from oauth2_provider.scopes import BaseScopes

from apps.authn.api_scopes import SCOPES


class ApiScopes(BaseScopes):  # type: ignore[misc]
    """No default scope: who asks for nothing gets nothing (RFC 6749 section 3.3)."""

    def get_all_scopes(self) -> dict[str, str]:
        return {name: scope.words for name, scope in SCOPES.items()}

    def get_available_scopes(
        self, application: Any = None, request: Any = None, *args: Any, **kwargs: Any
    ) -> list[str]:
        return list(application.allowed_scopes) if application is not None else []

    def get_default_scopes(self, application: Any = None, request: Any = None, *a: Any, **k: Any) -> list[str]:
        return []
