"""Forms of credential providers. A stored secret has no way into them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from apps.broker import contracts as c
from apps.entrypoints.console import vendors
from apps.entrypoints.console.forms import CommandForm, SecretField, choice, text

_ENDPOINTS = ("issuer", "authorization_endpoint", "token_endpoint")
# Our field -> the vendor option's name in the broker's contract.
_OPTIONS = {
    "tenant_id": "tenantId",
    "issuer": "issuer",
    "authorization_endpoint": "authorizationEndpoint",
    "token_endpoint": "tokenEndpoint",
}
_AUTHENTICATION = (
    ("", _("As the server says, else Basic")),
    ("client_secret_basic", _("Basic (HTTP header)")),
    ("client_secret_post", _("Post (form body)")),
)


def _name() -> Any:
    return text(
        label=_("Name"), max_length=128, help_text=_("Agents ask for it by this name. It cannot be changed later.")
    )


class _OAuthSettings(CommandForm):
    vendor = choice((), label=_("Vendor"))
    client_id = text(label=_("Client id"), max_length=256)
    client_secret = SecretField(label=_("Client secret"), required=False)
    discovery_url = text(
        label=_("Discovery URL"),
        max_length=2048,
        required=False,
        help_text=_("Ends in /.well-known/openid-configuration or /.well-known/oauth-authorization-server."),
    )
    tenant_id = text(
        label=_("Directory (tenant) id"), max_length=128, required=False, help_text=_("Empty: common, any directory.")
    )
    issuer = text(label=_("Issuer"), max_length=2048, required=False)
    authorization_endpoint = text(label=_("Authorization endpoint"), max_length=2048, required=False)
    token_endpoint = text(label=_("Token endpoint"), max_length=2048, required=False)
    client_authentication = choice(_AUTHENTICATION, label=_("Client authentication"), required=False)
    errors_at = {
        "client_authentication_method": "client_authentication",
        "jwks_uri": "discovery_url",
        "revocation_endpoint": "discovery_url",
        "tenantId": "tenant_id",
        "authorizationEndpoint": "authorization_endpoint",
        "tokenEndpoint": "token_endpoint",
    }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        vendor = self.fields["vendor"]
        vendor.choices = vendors.choices()  # type: ignore[attr-defined]
        vendor.widget.attrs["data-vendor-inputs"] = vendors.inputs_json()

    def clean(self) -> dict[str, Any]:
        data = super().clean()
        if data.get("vendor") == vendors.CUSTOM and self.refusal is None:
            described = [name for name in _ENDPOINTS if data.get(name)]
            if data.get("discovery_url") and described:
                raise ValidationError(_("Give the discovery URL or the three addresses, not both."))
            if not data.get("discovery_url") and len(described) < len(_ENDPOINTS):
                raise ValidationError(
                    _("Give a discovery URL, or issuer, authorization endpoint and token endpoint together.")
                )
        return data

    def settings(self, *, on_behalf_of: Mapping[str, Any] | None = None) -> c.OAuthSettings:
        data = self.cleaned_data
        vendor: str = data["vendor"]
        custom = vendor == vendors.CUSTOM
        wanted = set(vendors.inputs(vendor))
        given = {name: data[name] for name in (*_ENDPOINTS, "tenant_id") if name in wanted and data[name]}
        described = custom and not data["discovery_url"]
        return c.OAuthSettings(
            vendor=vendor,
            client_id=data["client_id"],
            client_secret=data["client_secret"],
            discovery_url=data["discovery_url"] or None if custom else None,
            metadata=c.ServerMetadata(**{name: given[name] for name in _ENDPOINTS}) if described else None,
            vendor_options={} if custom else {_OPTIONS[name]: value for name, value in given.items()},
            client_authentication_method=data["client_authentication"] or None if custom else None,
            on_behalf_of=on_behalf_of,
        )


class AddOAuthForm(_OAuthSettings):
    name = _name()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["client_secret"].required = True
        self.fields["client_secret"].help_text = _("Sealed at once; it can be replaced later, never read again.")
        asked = self.request.GET.get("vendor", "")
        if asked in vendors.names():
            self.initial["vendor"] = asked

    def command(self) -> c.CreateOAuthProvider:
        return c.CreateOAuthProvider(name=self.cleaned_data["name"], settings=self.settings())


class ChangeOAuthForm(_OAuthSettings):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        row, config = self.instance, self.instance.config
        self.fields["client_secret"].label = _("New client secret")
        self.fields["client_secret"].help_text = _("Empty: the stored one stays.")
        options: Mapping[str, str] = config.get("vendor_options", {})
        if row.vendor == vendors.CUSTOM:
            shown = config.get("metadata", {}) if not config.get("discovery_url") else {}
        else:
            shown = {field: options.get(name, options.get(field)) for field, name in _OPTIONS.items()}
        self.initial.update(
            vendor=row.vendor,
            client_id=row.client_id,
            discovery_url=config.get("discovery_url"),
            client_authentication=config.get("client_authentication_method") or "",
            **{name: shown.get(name) for name in _OPTIONS if shown.get(name)},
        )

    def command(self) -> c.UpdateOAuthProvider:
        # The broker replaces the whole configuration: what this page does not show has to go along.
        kept = self.instance.config.get("on_behalf_of")
        return c.UpdateOAuthProvider(name=self.instance.name, settings=self.settings(on_behalf_of=kept))


class AddApiKeyForm(CommandForm):
    name = _name()
    api_key = SecretField(
        label=_("API key"), max_length=65536, help_text=_("Sealed at once; it can be replaced later, never read again.")
    )

    def command(self) -> c.CreateApiKeyProvider:
        return c.CreateApiKeyProvider(name=self.cleaned_data["name"], api_key=self.cleaned_data["api_key"])


class ChangeApiKeyForm(CommandForm):
    api_key = SecretField(label=_("New API key"), max_length=65536, help_text=_("Replaces the stored one at once."))

    def command(self) -> c.UpdateApiKeyProvider:
        return c.UpdateApiKeyProvider(name=self.instance.name, api_key=self.cleaned_data["api_key"])
