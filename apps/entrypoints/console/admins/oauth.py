"""The portal's own authorization server: its clients and what it has given out. Never a token, code or secret."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from apps.authn.models import (
    OAuthAccessToken,
    OAuthAssertion,
    OAuthClient,
    OAuthDeviceGrant,
    OAuthGrant,
    OAuthIdToken,
    OAuthRefreshToken,
    SigningKey,
)
from apps.entrypoints.console import cells
from apps.entrypoints.console.base import ConsoleAdmin


@admin.register(OAuthClient)
class OAuthClientAdmin(ConsoleAdmin):
    see = "vault.read"
    keyset = ("-created", "-id")
    first_words = _("Clients of the portal's own authorization server appear here.")
    list_display = ("name", "client_id", "client_type", "authorization_grant_type", "made")
    list_filter = ()
    search_fields = ("client_id__exact", "name__icontains")
    show_fieldsets = (
        (None, {"fields": ("name", "client_id", "client_type", "authorization_grant_type", "redirects", "made")}),
    )

    @display(description=_("redirect URIs"))
    def redirects(self, obj: OAuthClient) -> SafeString:
        return cells.lines(obj.redirect_uris.split())

    @display(description=_("made"))
    def made(self, obj: OAuthClient) -> SafeString:
        return cells.when(obj.created)


class _Given(ConsoleAdmin):
    """Something given out to a client: for whom, until when."""

    see = "vault.read"
    keyset = ("-created", "-id")
    list_display: Any = ("id", "application", "user", "made", "ends")
    list_select_related = ("application", "user")
    list_filter = ()
    show_fieldsets = ((None, {"fields": ("id", "application", "user", "scope_list", "made", "ends")}),)

    def name_of(self, obj: Any) -> str:
        return f"{obj.application or '–'} {str(obj.pk)[:8]}"  # the package's own str() says which row only

    @display(description=_("scopes"))
    def scope_list(self, obj: Any) -> SafeString:
        return cells.listed(obj.scope.split())

    @display(description=_("given"))
    def made(self, obj: Any) -> SafeString:
        return cells.when(obj.created)

    @display(description=_("ends"))
    def ends(self, obj: Any) -> SafeString:
        return cells.when(obj.expires)

    def get_queryset(self, request: Any) -> Any:
        return super().get_queryset(request).select_related("application", "user")


@admin.register(OAuthAccessToken)
class OAuthAccessTokenAdmin(_Given):
    pass


@admin.register(OAuthGrant)
class OAuthGrantAdmin(_Given):
    pass


@admin.register(OAuthIdToken)
class OAuthIdTokenAdmin(_Given):
    pass


@admin.register(OAuthRefreshToken)
class OAuthRefreshTokenAdmin(_Given):
    list_display = ("id", "application", "user", "made", "over")
    show_fieldsets = ((None, {"fields": ("id", "application", "user", "made", "over")}),)

    @display(description=_("revoked"))
    def over(self, obj: OAuthRefreshToken) -> SafeString:
        return cells.when(obj.revoked)


@admin.register(OAuthDeviceGrant)
class OAuthDeviceGrantAdmin(ConsoleAdmin):
    see = "vault.read"
    keyset = ("-expires", "-id")
    list_display = ("id", "client_id", "status", "ends")
    list_filter = ()
    show_fieldsets = ((None, {"fields": ("id", "client_id", "status", "ends")}),)

    def name_of(self, obj: OAuthDeviceGrant) -> str:
        return str(obj.pk)[:8]

    @display(description=_("ends"))
    def ends(self, obj: OAuthDeviceGrant) -> SafeString:
        return cells.when(obj.expires)


@admin.register(OAuthAssertion)
class OAuthAssertionAdmin(ConsoleAdmin):
    singular, plural = _("used assertion"), _("used assertions")
    see = "vault.read"
    keyset = ("-expires_at", "-id")
    first_words = _("Clients that sign prove themselves with assertions, each good for one time. Used ones stay here.")
    list_display = ("id", "application", "ends")
    list_select_related = ("application",)
    list_filter = ()
    show_fieldsets = ((None, {"fields": ("id", "application", "ends")}),)

    def name_of(self, obj: OAuthAssertion) -> str:
        return str(obj.pk)[:8]

    @display(description=_("ends"))
    def ends(self, obj: OAuthAssertion) -> SafeString:
        return cells.when(obj.expires_at)

    def get_queryset(self, request: Any) -> Any:
        return super().get_queryset(request).select_related("application")


@admin.register(SigningKey)
class SigningKeyAdmin(ConsoleAdmin):
    see = "vault.read"
    keyset = ("-created_at", "-id")
    first_words = _("Tokens for services that trust this tenant are signed with its keys. They are made when needed.")
    list_display = ("kid", "algorithm", "status_of", "since", "made")
    list_filter = ()
    show_fieldsets = ((None, {"fields": ("kid", "algorithm", "status_of", "since", "made")}),)

    def name_of(self, obj: SigningKey) -> str:
        return obj.kid

    @display(description=_("status"))
    def status_of(self, obj: SigningKey) -> SafeString:
        return cells.pill(obj.state, obj.get_state_display(), "signing-key-status")

    @display(description=_("since"))
    def since(self, obj: SigningKey) -> SafeString:
        return cells.when(obj.state_since)

    @display(description=_("made"))
    def made(self, obj: SigningKey) -> SafeString:
        return cells.when(obj.created_at)
