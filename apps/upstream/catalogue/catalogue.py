"""The vendor catalogue: loaded once, checked against a schema, and turned into endpoints and dialects.

Nothing here makes a network call. Addresses of vendors are read-only: a configuration fills the named inputs of a
template and cannot move a vendor's endpoint, because the client secret belongs to the server it was issued for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any, Literal, cast

import msgspec
import yaml

from apps.core.errors import Invalid, NotFound
from apps.core.net.urls import UrlRules
from apps.upstream.protocol import discovery
from apps.upstream.protocol.types import ClientAuthMethod, Dialect, Endpoints, ErrorKind, Revocation

_FILE = Path(__file__).with_name("catalogue.yaml")
_TENANT_ID = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.\-]{0,126}[A-Za-z0-9])?")
_DIRECTORY_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_STRICT = UrlRules()
_GIVEN_ENDPOINTS = ("issuer", "authorization_endpoint", "token_endpoint")


class VendorName(StrEnum):
    """The vendors AgentCore Identity has, by their names there."""

    GOOGLE = "GoogleOauth2"
    GITHUB = "GithubOauth2"
    SLACK = "SlackOauth2"
    SALESFORCE = "SalesforceOauth2"
    MICROSOFT = "MicrosoftOauth2"
    CUSTOM = "CustomOauth2"
    ATLASSIAN = "AtlassianOauth2"
    LINKEDIN = "LinkedinOauth2"
    X = "XOauth2"
    OKTA = "OktaOauth2"
    ONELOGIN = "OneLoginOauth2"
    PINGONE = "PingOneOauth2"
    FACEBOOK = "FacebookOauth2"
    YANDEX = "YandexOauth2"
    REDDIT = "RedditOauth2"
    ZOOM = "ZoomOauth2"
    TWITCH = "TwitchOauth2"
    SPOTIFY = "SpotifyOauth2"
    DROPBOX = "DropboxOauth2"
    NOTION = "NotionOauth2"
    HUBSPOT = "HubspotOauth2"
    CYBERARK = "CyberArkOauth2"
    FUSIONAUTH = "FusionAuthOauth2"
    AUTH0 = "Auth0Oauth2"
    COGNITO = "CognitoOauth2"


class _Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An unknown key in the file is a typing mistake, not an extension."""


class Templates(_Strict, frozen=True):
    """Addresses, or templates of them."""

    issuer: str | None = None
    authorization: str | None = None
    token: str | None = None
    revocation: str | None = None
    jwks: str | None = None
    userinfo: str | None = None


class ClientAuthFact(_Strict, frozen=True):
    method: ClientAuthMethod
    verified: bool
    note: str = ""


class PkceFact(_Strict, frozen=True):
    """What the server does with the S256 challenge that is always sent."""

    server: Literal["enforced", "supported", "optional", "unknown"]
    verified: bool
    note: str = ""


class RefreshFact(_Strict, frozen=True):
    behaviour: Literal["keeps", "rotates", "may_rotate", "none"]
    verified: bool
    single_use: bool = False
    note: str = ""


class LifetimeFact(_Strict, frozen=True):
    """`access_s` is the usual lifetime in seconds, for display; `missing_expires_in` what its absence means."""

    missing_expires_in: int | Literal["unknown", "never"]
    verified: bool
    access_s: int | None = None
    note: str = ""


class RevocationFact(_Strict, frozen=True):
    """How to revoke, and how far it reaches; see protocol.types.Revocation."""

    reach: Literal["token", "grant", "app"]
    verified: bool
    method: Literal["POST", "DELETE"] = "POST"
    carried_in: Literal["form", "json", "bearer"] = "form"
    parameter: str = "token"
    type_hint: bool = True
    authenticate: bool = True
    client_auth: ClientAuthMethod | None = None
    covers: Literal["refresh_token", "access_token"] = "refresh_token"
    note: str = ""


class Vendor(_Strict, frozen=True):
    """One entry of the catalogue. `host` is what consent pages show; None where each customer has its own."""

    name: str
    config_member: str
    verified: bool
    client_auth: ClientAuthFact
    pkce: PkceFact
    refresh: RefreshFact
    lifetime: LifetimeFact
    host: str | None = None
    inputs: tuple[Literal["tenant_id", "issuer", "authorization_endpoint", "token_endpoint"], ...] = ()
    endpoints: Templates = Templates()
    issuer_known: bool = False
    scope_separator: str = " "
    granted_separators: str = " "
    split_scope_parameter: str | None = None
    authorize_parameters: dict[str, str] = msgspec.field(default_factory=dict)
    body_format: Literal["form", "json"] = "form"
    token_headers: dict[str, str] = msgspec.field(default_factory=dict)
    token_paths: tuple[tuple[str, ...], ...] = ((),)
    token_types: tuple[str, ...] = ("bearer",)
    ok_member: str | None = None
    error_words: dict[str, ErrorKind] = msgspec.field(default_factory=dict)
    scope_on_refresh: bool = False
    kept_metadata: tuple[str, ...] = ()
    revocation: RevocationFact | None = None
    notes: tuple[str, ...] = ()

    @property
    def has_own_endpoints(self) -> bool:
        """Does each customer of this vendor have a server of its own, named in the configuration?"""
        return "token_endpoint" in self.inputs

    def dialect(self) -> Dialect:
        """How to talk to it."""
        missing = self.lifetime.missing_expires_in
        way = self.revocation
        return Dialect(
            scope_separator=self.scope_separator,
            granted_separators=self.granted_separators,
            split_scope_parameter=self.split_scope_parameter,
            authorize_parameters=self.authorize_parameters,
            body_format=self.body_format,
            token_headers=self.token_headers,
            token_paths=self.token_paths,
            token_types=frozenset(self.token_types),
            ok_member=self.ok_member,
            error_words=self.error_words,
            default_lifetime_s=missing if isinstance(missing, int) else None,
            scope_on_refresh=self.scope_on_refresh,
            kept_metadata=self.kept_metadata,
            revocation=Revocation()
            if way is None
            else Revocation(
                method=way.method,
                carried_in=way.carried_in,
                parameter=way.parameter,
                type_hint=way.type_hint,
                authenticate=way.authenticate,
                client_auth=way.client_auth,
                covers=way.covers,
            ),
        )


@cache
def catalogue() -> Mapping[VendorName, Vendor]:
    """All vendors. Raises msgspec.ValidationError or ValueError if the file is not in order, at first use."""
    raw = yaml.safe_load(_FILE.read_text(encoding="utf-8"))
    found = msgspec.convert(raw, dict[str, Vendor])
    if set(found) != {vendor.value for vendor in VendorName}:
        raise ValueError("catalogue.yaml must have exactly one entry for each vendor")
    return {vendor: found[vendor.value] for vendor in VendorName}


def vendor(name: str) -> Vendor:
    """One vendor by its name. Raises NotFound."""
    try:
        return catalogue()[VendorName(name)]
    except ValueError:
        raise NotFound(f"There is no vendor named {name[:64]}.", reason="vendor_unknown") from None


def resolve_endpoints(name: str, config: Mapping[str, Any], rules: UrlRules = _STRICT) -> Endpoints:
    """The endpoints of one configured provider.

    `config` has the vendor's inputs by their names: `tenant_id`; or `issuer`, `authorization_endpoint` and
    `token_endpoint` (and `token_endpoint_auth_methods` for a custom provider). What an input does not give is filled
    from the vendor's template where there is one.

    Raises Invalid naming the member: `endpoints_fixed` if one is given for a vendor whose addresses are its own,
    `endpoint_missing`, `tenant_id_invalid`, or the reasons of UrlRules.read.
    """
    entry = vendor(name)
    _refuse_overrides(entry, config)
    if name == VendorName.CUSTOM:
        return discovery.explicit(
            issuer=_required(config, "issuer"),
            authorization_endpoint=_required(config, "authorization_endpoint"),
            token_endpoint=_required(config, "token_endpoint"),
            token_endpoint_auth_methods=tuple(config.get("token_endpoint_auth_methods") or ()),
            rules=rules,
        )
    values = _inputs(entry, config, rules)
    filled = {part: _fill(template, values) for part, template in msgspec.structs.asdict(entry.endpoints).items()}
    authorization = values.get("authorization_endpoint") or filled["authorization"]
    token = values.get("token_endpoint") or filled["token"]
    for member, value in (("authorization_endpoint", authorization), ("token_endpoint", token)):
        if not value:
            raise _missing(member)
    home = rules.read(cast("str", token)).origin
    issuer = filled["issuer"]
    known = issuer is not None and _is_issuer_known(entry, values)
    return Endpoints(
        issuer=issuer or home,
        issuer_known=known,
        authorization_endpoint=cast("str", authorization),
        token_endpoint=cast("str", token),
        revocation_endpoint=_at_home(filled["revocation"], home, entry, rules),
        # Without a known issuer an ID token cannot be judged, so its keys are of no use.
        jwks_uri=filled["jwks"] if known else None,
        userinfo_endpoint=_at_home(filled["userinfo"], home, entry, rules),
        token_endpoint_auth_methods=(entry.client_auth.method,),
        code_challenge_methods=() if entry.pkce.server == "unknown" else ("S256",),
    )


def _refuse_overrides(entry: Vendor, config: Mapping[str, Any]) -> None:
    for member in (*_GIVEN_ENDPOINTS, "tenant_id"):
        if config.get(member) and member not in entry.inputs:
            raise Invalid.field(
                member,
                f"{entry.name} has fixed addresses, so {member} cannot be set. Leave it out, or use a custom provider.",
                reason="endpoints_fixed",
            )


def _inputs(entry: Vendor, config: Mapping[str, Any], rules: UrlRules) -> dict[str, str]:
    """The checked inputs, and what templates derive from them."""
    values: dict[str, str] = {}
    if "tenant_id" in entry.inputs:
        tenant_id = config.get("tenant_id") or "common"
        if not isinstance(tenant_id, str) or not _TENANT_ID.fullmatch(tenant_id):
            raise Invalid.field("tenant_id", "Give the directory's id or its domain name.", reason="tenant_id_invalid")
        values["tenant_id"] = tenant_id.lower()
    for member in _GIVEN_ENDPOINTS:
        if member in entry.inputs and config.get(member):
            values[member] = discovery.checked_url(config, member, rules)
    if "token_endpoint" in values:
        values["token_origin"] = rules.read(values["token_endpoint"]).origin
    if "issuer" in values:
        given = rules.read(values["issuer"])
        issuer = str(config["issuer"]).rstrip("/")
        values["issuer"] = issuer
        values["origin"] = given.origin
        values["oauth2_base"] = issuer if "/oauth2" in given.path_and_query else f"{issuer}/oauth2"
    return values


def _is_issuer_known(entry: Vendor, values: Mapping[str, str]) -> bool:
    # Tokens of "common" and of named directories carry the directory's id, which we then do not know.
    return entry.issuer_known or bool(_DIRECTORY_ID.fullmatch(values.get("tenant_id", "")))


def _fill(template: str | None, values: Mapping[str, str]) -> str | None:
    if template is None:
        return None
    needed = re.findall(r"\{([a-z0-9_]+)\}", template)
    if any(name not in values for name in needed if name != "client_id"):
        return None
    for name in needed:
        template = template.replace(f"{{{name}}}", values.get(name, f"{{{name}}}"))
    return template


def _at_home(url: str | None, home: str, entry: Vendor, rules: UrlRules) -> str | None:
    """Where only customers have addresses: nothing derived that lies on another server than the token endpoint.

    The issuer may be named on one host and the token endpoint on another; secrets and tokens belong to the latter.
    """
    return url if url is None or not entry.has_own_endpoints or rules.read(url).origin == home else None


def _required(config: Mapping[str, Any], member: str) -> str:
    value = config.get(member)
    if not value or not isinstance(value, str):
        raise _missing(member)
    return value


def _missing(member: str) -> Invalid:
    return Invalid.field(member, f"This provider needs its {member}. Add it.", reason="endpoint_missing")
