"""No page shows a secret: not a stored one, not a typed one, not with an error."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.db import models

from apps.authn.models import AccessKey
from apps.core.operator_secret import OperatorSecretField
from apps.core.secret import Secret
from apps.providers.models import Provider
from apps.tenants.models import Membership, Tenant, User
from apps.tenants.scope import tenant_scope
from tests.console import pages
from tests.console.conftest import enter, make_person, open_browser
from tests.support import rows, trail

CANARY = "c4n4ry"
SECRET_WORDS = (
    "secret",
    "token",
    "password",
    "code",
    "digest",
    "blob",
    "wrapped",
    "checksum",
    "nonce",
    "verifier",
    "username",
    "post_data",
    "get_data",
    "claims",
    "state",
    "error",
    "body",
    "fingerprint",
)
# Not secrets, or not ours to overwrite.
LEAVE = {
    "status",
    "state",
    "has_refresh_token",
    "workload_token_life_s",
    "source_refresh_token",
    "id_token",
    "access_token",
    "code_challenge_method",
    "error",
    "locked_out",
}


# Append-only, or in use by the running suite: their secret columns are looked for as they are.
UNTOUCHED = {"audit.AuditRecord", "audit.OperatorRecord", "tenants.Tenant", "tenants.User", "vault.KeyRingCanary"}


def plant(row: Any) -> list[str]:
    """Write a canary into every column of the row that is a secret, or is called like one."""
    planted: dict[str, Any] = {}
    for field in row._meta.concrete_fields:
        if field.primary_key or field.is_relation or field.name in LEAVE:
            continue
        text = f"{CANARY}-{row._meta.model_name}-{field.name}"
        if isinstance(field, OperatorSecretField):
            planted[field.name] = Secret(text)
        elif isinstance(field, models.BinaryField):
            planted[field.name] = text.encode()
        elif isinstance(field, models.CharField | models.TextField) and any(w in field.name for w in SECRET_WORDS):
            planted[field.name] = text[: field.max_length or 200]
    type(row)._base_manager.filter(pk=row.pk).update(**planted)
    return [value for value in planted if value]


def assert_clean(answer: Any, where: str) -> None:
    """No canary, in any of the forms a page could show bytes."""
    page = answer.content.decode(errors="replace")
    for form in (CANARY, CANARY.encode().hex(), base64.b64encode(CANARY.encode()).decode()[:7]):
        assert form not in page, f"{where} shows a canary"


@pytest.mark.case("T101")
@pytest.mark.parametrize("label", sorted(pages.shown()))
def test_T101_no_page_of_any_table_shows_a_secret_column(label, acme):
    page = pages.shown()[label]
    staff_user = make_person(staff=True)
    with tenant_scope(acme.id):
        row = pages.row_of(label, acme, make_person(acme))
        if label not in UNTOUCHED:
            plant(row)
    if label == "tenants.User":  # but not the one who looks: a changed password ends their session
        plant(row)
        User.objects.filter(id=row.id).update(email=f"{row.id}@example.org")
    if label == "tenants.Tenant":
        Tenant.objects.filter(id=acme.id).update(pseudonym_key=Secret(f"{CANARY}-key"))
    staff, owner = open_browser(staff_user), open_browser(make_person(acme, "tenant_owner"))
    enter(staff, acme)
    seen = 0
    for browser in (staff, owner):
        for address in pages.addresses(page, pages.key_of(row)):
            answer = browser.get(address)
            assert answer.status_code in (200, 403), address
            assert_clean(answer, address)
            if label == "vault.KeyRingCanary":
                assert bytes(row.blob).hex() not in answer.content.decode()
            seen += answer.status_code == 200
    assert seen >= 2


def test_what_is_planted_is_found_when_it_is_shown():
    """The test above can fail: columns are planted and the search finds them."""
    from apps.authn.models import OAuthAccessToken
    from apps.vault.models import SealedSecret

    names = {f.name for f in OAuthAccessToken._meta.concrete_fields}
    assert "token" in names and any("token".startswith(w) for w in SECRET_WORDS)
    assert isinstance(SealedSecret._meta.get_field("blob"), models.BinaryField)
    with pytest.raises(AssertionError):
        assert_clean(type("Answer", (), {"content": f"x {CANARY.encode().hex()} x".encode()})(), "here")


def kinds() -> list[tuple[str, dict[str, str], str]]:
    secret = f"{CANARY}-typed"
    oauth = {"name": "n1", "vendor": "GithubOauth2", "client_id": "cid", "client_secret": secret}
    return [
        ("/console/providers/provider/add/?kind=oauth2", oauth, "client_secret"),
        ("/console/providers/provider/add/?kind=api_key", {"name": "n2", "api_key": secret}, "api_key"),
    ]


@pytest.mark.case("T101")
@pytest.mark.parametrize(("path", "form", "member"), kinds())
def test_T101_a_typed_secret_never_comes_back(path, form, member, acme, owner):
    good = owner.post(path, form)
    assert good.status_code == 302
    assert_clean(owner.get(good["Location"]), "the provider's page")
    again = owner.post(path, form)  # the name is taken now
    assert again.status_code == 200 and "exists already" in again.content.decode()
    assert_clean(again, "the form with an error")
    field = again.content.decode().split(f'name="{member}"')[1].split(">")[0]
    assert "value=" not in field
    assert 'autocomplete="new-password"' in again.content.decode()
    for record in trail(acme):
        assert CANARY not in str(record.details)
    assert all(CANARY not in str(Session.objects.get(pk=s.pk).get_decoded()) for s in Session.objects.all())


def test_a_replaced_secret_is_write_only_too(acme, owner):
    owner.post("/console/providers/provider/add/?kind=api_key", {"name": "weather", "api_key": f"{CANARY}-1"})
    (row,) = rows(acme, Provider, name="weather")
    page = f"/console/providers/provider/{row.id}/change/"
    assert owner.post(page, {"api_key": f"{CANARY}-2"}).status_code == 302
    assert_clean(owner.get(page), page)
    assert len(trail(acme, action="api_key_provider.update", outcome="allowed")) == 1


def test_an_access_keys_secret_is_shown_once_and_kept_nowhere(acme, owner):
    made = owner.post("/console/authn/accesskey/add/", {"label": "ci", "life": "90", "grants": ""})
    assert made.status_code == 200 and made["Cache-Control"] == "no-store"  # the answer itself, no redirect
    secret = made.content.decode().split('data-testid="secret-access-key">')[1].split("<")[0]
    (key,) = rows(acme, AccessKey, label="ci")
    assert key.key_id in made.content.decode() and len(secret) > 30
    for path in (
        "/console/",
        "/console/authn/accesskey/",
        f"/console/authn/accesskey/{key.id}/change/",
        "/console/audit/auditrecord/",
        "/console/vault/sealedsecret/",
    ):
        assert secret not in owner.get(path).content.decode()
    assert all(secret not in str(s.get_decoded()) for s in Session.objects.all())
    assert not any(secret in cookie.value for cookie in owner.cookies.values())
    for record in trail(acme):
        assert secret not in str(record.details)


def test_a_first_password_is_not_shown_or_recorded(acme, owner):
    form = {"email": "new@example.org", "name": "New", "role": "approver", "password": f"{CANARY}-password-long"}
    form["email"] = f"{acme.slug}-new@example.org"
    assert owner.post("/console/tenants/membership/add/", form).status_code == 302
    weak = owner.post("/console/tenants/membership/add/", {**form, "email": "x@example.org", "password": CANARY})
    assert weak.status_code == 200
    assert_clean(weak, "the form with a weak password")
    member = Membership.objects.get(tenant_id=acme.id, user__email=form["email"])
    assert member.user.check_password(form["password"])
    assert all(CANARY not in str(record.details) for record in trail(acme))


def test_an_error_report_would_not_carry_the_form(acme, owner):
    answer = owner.post("/console/providers/provider/add/?kind=api_key", {"name": "", "api_key": f"{CANARY}-x"})
    assert answer.wsgi_request.sensitive_post_parameters == "__ALL__"
