"""The portal's own authorization server: its clients and what it has given out. Never a token, code or secret."""

from __future__ import annotations

import json
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display
from unfold.enums import ActionVariant
from unfold.widgets import UnfoldAdminTextareaWidget

from apps.agents.models import Agent
from apps.authn.api_scopes import SCOPES
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
from apps.broker.authorization_server import contracts as oc
from apps.entrypoints.console import cells, shown_once
from apps.entrypoints.console.base import ConsoleAdmin
from apps.entrypoints.console.dialogs import dialog
from apps.entrypoints.console.filters import one_of
from apps.entrypoints.console.forms import CommandForm, LinesField, choice, row, text

_KINDS = (
    ("machine", _("a program, with a secret")),
    ("signing", _("a program that signs, with a key of its own")),
    ("web", _("an application of people on a server, with a secret")),
    ("public", _("an application of people on their device, without a secret")),
)
_MEANING = {
    "machine": ("client_credentials", "client_secret"),
    "signing": ("client_credentials", "private_key_jwt"),
    "web": ("authorization_code", "client_secret"),
    "public": ("authorization_code", "none"),
}


class AddClientForm(CommandForm):
    name = text(label=_("Name"), max_length=255, help_text=_("People see it when an application asks them."))
    scopes = LinesField(label=_("Scopes"), rows=6, help_text=_("One per line: the most its tokens may ever do."))
    kind = choice(_KINDS, label=_("Kind"), initial="machine")
    redirect_uris = LinesField(
        label=_("Redirect URIs"), required=False, help_text=_("One per line, for applications of people. Exact.")
    )
    keys = forms.CharField(
        label=_("Public keys"),
        required=False,
        max_length=32_768,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 6, "spellcheck": "false"}),
        help_text=_("A JWK set, for a program that signs. Public halves only."),
    )
    agent = row(label=_("Only as agent"), required=False, empty_label=_("No agent: by its scopes alone"))
    errors_at = {"grant": "kind", "proof": "kind", "jwks": "keys", "return_urls": "redirect_uris"}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["agent"].queryset = Agent.objects.order_by("name")  # type: ignore[attr-defined]
        self.fields["scopes"].widget.attrs["placeholder"] = "\n".join(list(SCOPES)[:3])

    def clean_keys(self) -> dict[str, Any] | None:
        given = self.cleaned_data["keys"].strip()
        if not given:
            return None
        try:
            found = json.loads(given)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise ValidationError(_("This is not a JWK set."))
        return found

    def command(self) -> oc.CreateApiClient:
        data = self.cleaned_data
        grant, proof = _MEANING[data["kind"]]
        return oc.CreateApiClient(
            name=data["name"],
            scopes=data["scopes"],
            grant=grant,
            proof=proof,
            jwks=data["keys"],
            redirect_uris=data["redirect_uris"],
            agent=data["agent"].name if data["agent"] else None,
        )


@admin.register(OAuthClient)
class OAuthClientAdmin(ConsoleAdmin):
    see, create, remove = "vault.read", "api_client.create", "api_client.delete"
    keyset = ("-created", "-id")
    row_testid = "client-row"
    add_form = AddClientForm
    first_words = _("Clients of the portal's own authorization server appear here.")
    remove_words = _("Its tokens end with it, from the next call on. This cannot be undone.")
    list_display = ("name", "client_id", "state", "client_type", "authorization_grant_type", "agent", "made")
    list_select_related = ("agent",)
    list_filter = (one_of("status", _("status"), OAuthClient.Status.choices),)
    search_fields = ("client_id__exact", "name__icontains")
    actions_detail = ("renew", "disable", "enable")
    add_fieldsets = (
        (None, {"fields": ("name", "kind", "scopes", "agent")}),
        (_("Where it needs more"), {"fields": ("redirect_uris", "keys")}),
    )
    show_fieldsets = (
        (None, {"fields": ("name", "client", "state", "client_type", "authorization_grant_type", "proof", "agent")}),
        (_("Scopes"), {"fields": ("scope_list", "redirects", "made")}),
    )

    @display(description=_("client id"))
    def client(self, obj: OAuthClient) -> SafeString:
        return cells.copyable(obj.client_id, "client-id")

    @display(description=_("status"))
    def state(self, obj: OAuthClient) -> SafeString:
        return cells.pill(obj.status, obj.get_status_display(), "client-status")

    @display(description=_("scopes"))
    def scope_list(self, obj: OAuthClient) -> SafeString:
        return cells.listed(obj.allowed_scopes)

    @display(description=_("redirect URIs"))
    def redirects(self, obj: OAuthClient) -> SafeString:
        return cells.lines(obj.redirect_uris.split())

    @display(description=_("made"))
    def made(self, obj: OAuthClient) -> SafeString:
        return cells.when(obj.created)

    def get_queryset(self, request: Any) -> Any:
        return super().get_queryset(request).select_related("agent")

    def saved(self, request: HttpRequest, target: Any, form: CommandForm, outcome: Any) -> HttpResponse:
        made: oc.NewApiClient = outcome
        if made.client_secret is None:
            return super().saved(request, self.get_object(request, str(made.row_id)), form, outcome)
        return shown_once.client_page(request, made, title=_("Client made"), back=self.list_url(), opts=self.opts)

    @dialog(
        right="api_client.rotate",
        applies=lambda client: client.proof == OAuthClient.Proof.SECRET,
        label=_("New secret"),
        title=_("Give this client a new secret?"),
        description=_("The old secret ends at once. The new one is shown once, on the next page."),
        submit=_("New secret"),
        done=_("The client has a new secret."),
        icon="autorenew",
        variant=ActionVariant.WARNING,
        testid="client-renew",
        answer=lambda page, request, made: shown_once.client_page(
            request, made, title=_("New secret"), back=page.list_url(), opts=page.opts
        ),
    )
    def renew(self, request: HttpRequest, client: OAuthClient, form: forms.Form) -> oc.RotateApiClient:
        return oc.RotateApiClient(client_id=client.client_id)

    @dialog(
        right="api_client.disable",
        applies=lambda client: client.status == OAuthClient.Status.ACTIVE,
        label=_("Disable"),
        title=_("Disable this client?"),
        description=_("Its tokens end, from the next call on, and it gets no new ones."),
        submit=_("Disable"),
        done=_("The client is disabled."),
        icon="block",
        variant=ActionVariant.DANGER,
        testid="client-disable",
    )
    def disable(self, request: HttpRequest, client: OAuthClient, form: forms.Form) -> oc.DisableApiClient:
        return oc.DisableApiClient(client_id=client.client_id)

    @dialog(
        right="api_client.enable",
        applies=lambda client: client.status == OAuthClient.Status.DISABLED,
        label=_("Enable"),
        title=_("Allow this client again?"),
        description=_("Tokens it had stay ended; it can get new ones."),
        submit=_("Enable"),
        done=_("The client is allowed again."),
        icon="check_circle",
        testid="client-enable",
    )
    def enable(self, request: HttpRequest, client: OAuthClient, form: forms.Form) -> oc.EnableApiClient:
        return oc.EnableApiClient(client_id=client.client_id)

    def removal(self, request: HttpRequest, target: OAuthClient) -> oc.DeleteApiClient:
        return oc.DeleteApiClient(client_id=target.client_id)


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
