"""The sidebar: what a role may see, grouped by what people come for."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from apps.entrypoints.console.desk import desk, is_platform_admin, may
from apps.entrypoints.console.policy_pages import RIGHTS

# (group, folded, ((words, icon, model label or name of a page), …))
_GROUPS: tuple[tuple[Any, bool, tuple[tuple[Any, str, str], ...]], ...] = (
    (
        _("Agents"),
        False,
        (
            (_("Agents"), "smart_toy", "agents.agent"),
            (_("Bindings"), "link", "policy.binding"),
            (_("Authorizers"), "door_front", "agents.authorizer"),
            (_("Issuers of authorizers"), "passkey", "agents.authorizerissuer"),
            (_("Gateway keys"), "vpn_key", "agents.gatewaykey"),
            (_("Runtimes"), "dns", "agents.agentruntime"),
            (_("In use without a binding"), "link_off", "admin:bindings_in_use"),
        ),
    ),
    (
        _("Credentials"),
        False,
        (
            (_("Providers"), "hub", "providers.provider"),
            (_("Connections"), "electrical_services", "connections.connection"),
            (_("Consent requests"), "fact_check", "connections.consentsession"),
        ),
    ),
    (
        _("Access"),
        False,
        (
            (_("Access keys"), "key", "authn.accesskey"),
            (_("Trusted issuers"), "verified_user", "authn.trustedissuer"),
            (_("Workload tokens"), "token", "authn.workloadtoken"),
        ),
    ),
    (
        _("People"),
        False,
        (
            (_("Members"), "group", "tenants.membership"),
            (_("Principals"), "person", "connections.principal"),
            (_("Linked accounts"), "person_check", "connections.principallink"),
        ),
    ),
    (
        _("Audit"),
        False,
        (
            (_("Events"), "receipt_long", "audit.auditrecord"),
            (_("Explain"), "help", "admin:explain"),
        ),
    ),
    (
        _("Tenant"),
        False,
        (
            (_("Settings"), "tune", "tenants.tenant"),
            (_("Vault keys"), "lock", "vault.tenantkey"),
            (_("Signing keys"), "signature", "authn.signingkey"),
            (_("Sealed secrets"), "inventory_2", "vault.sealedsecret"),
        ),
    ),
    (
        _("OAuth clients"),
        True,
        (
            (_("Clients"), "apps", "authn.oauthclient"),
            (_("Access tokens"), "badge", "authn.oauthaccesstoken"),
            (_("Refresh tokens"), "autorenew", "authn.oauthrefreshtoken"),
            (_("Grants"), "approval", "authn.oauthgrant"),
            (_("ID tokens"), "id_card", "authn.oauthidtoken"),
            (_("Device grants"), "devices", "authn.oauthdevicegrant"),
            (_("Used assertions"), "signature", "authn.oauthassertion"),
            (_("Answered requests"), "done_all", "authn.answeredrequest"),
        ),
    ),
)
_PLATFORM: tuple[tuple[Any, str, str], ...] = (
    (_("Tenants"), "domain", "tenants.tenant"),
    (_("People"), "groups", "tenants.user"),
    (_("Operator records"), "report", "audit.operatorrecord"),
    (_("Failed sign-ins"), "gpp_bad", "axes.accessattempt"),
    (_("Sign-in failures log"), "history", "axes.accessfailurelog"),
    (_("Work queue"), "schedule", "tenants.dueitem"),
    (_("Key rings"), "encrypted", "vault.keyringcanary"),
)


def sidebar(request: HttpRequest) -> list[dict[str, Any]]:
    """Groups of links as unfold's templates want them. Platform staff without a tenant see the platform only."""
    here = desk(request)
    if here is None:
        return []
    groups: list[dict[str, Any]] = []
    if here.tenant is not None:
        index = reverse("admin:index")
        overview = {"title": _("Overview"), "icon": "dashboard", "link": index, "active": request.path == index}
        groups.append({"items": [{**overview, "has_permission": True}]})
        for words, folded, entries in _GROUPS:
            groups.append(_group(request, words, folded, entries))
    if is_platform_admin(request):
        platform = _group(request, _("Platform"), False, _PLATFORM)
        if here.tenant is None:  # no counters of tenants' work without a reason to be there
            platform["items"] = [item for item in platform["items"] if "dueitem" not in item["link"]]
        for item in platform["items"]:  # "Settings" leads into the same pages
            item["active"] = item["active"] and not any(i["active"] for group in groups for i in group["items"])
        groups.append(platform)
    return [group for group in groups if group["items"]]


def _group(request: HttpRequest, words: Any, folded: bool, entries: tuple[tuple[Any, str, str], ...]) -> dict[str, Any]:
    items = []
    here = desk(request)
    for title, icon, label in entries:
        if label in RIGHTS:
            if may(request, RIGHTS[label]):
                page = reverse(label)
                items.append(
                    {"title": title, "icon": icon, "link": page, "active": request.path == page, "has_permission": True}
                )
            continue
        model_admin = _admin_of(label)
        if model_admin is None or not model_admin.has_view_permission(request):
            continue
        link = reverse(f"admin:{label.replace('.', '_')}_changelist")
        if label == "tenants.tenant" and entries is not _PLATFORM and here and here.tenant:
            link = reverse("admin:tenants_tenant_change", args=[here.tenant.pk])
        active = request.path.startswith(link)
        items.append({"title": title, "icon": icon, "link": link, "active": active, "has_permission": True})
    return {"title": words, "items": items, "collapsible": folded, "separator": True}


def _admin_of(label: str) -> Any:
    for model, model_admin in admin.site._registry.items():
        if model._meta.label_lower == label:
            return model_admin
    return None
