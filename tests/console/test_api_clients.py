"""Clients of the authorization server, by mouse: made, shown their secret once, renewed, disabled, removed."""

from __future__ import annotations

from apps.authn.models import OAuthClient
from tests.console import pages
from tests.console.test_setup import element
from tests.oauth.support import post
from tests.support import rows, trail

ADD = "/console/authn/oauthclient/add/"
FORM = {"name": "reporter", "kind": "machine", "scopes": "agents:read\nagents:write", "redirect_uris": "", "keys": ""}


def token(tenant, html):
    basic = (element(html, "client-id"), element(html, "client-secret"))
    return post(tenant, "token", {"grant_type": "client_credentials", "scope": "agents:read"}, basic=basic)


def test_a_client_is_made_renewed_disabled_enabled_and_deleted(acme, owner):
    first = owner.post(ADD, FORM)
    assert first["Cache-Control"] == "no-store" and token(acme, first.content.decode()).status_code == 200
    (client,) = rows(acme, OAuthClient)
    page = pages.url("authn.OAuthClient", "change", client.pk)
    assert element(first.content.decode(), "client-secret") not in owner.get(page).content.decode()

    dialog = owner.get(pages.url("authn.OAuthClient", "renew", client.pk), headers={"HX-Request": "true"})
    assert "hx-post" not in dialog.content.decode(), "what is shown once is a page of its own"
    renewed = owner.post(pages.url("authn.OAuthClient", "renew", client.pk)).content.decode()
    assert token(acme, first.content.decode()).status_code == 401 and token(acme, renewed).status_code == 200
    assert owner.post(pages.url("authn.OAuthClient", "disable", client.pk)).status_code == 302
    assert token(acme, renewed).status_code == 401
    assert owner.post(pages.url("authn.OAuthClient", "enable", client.pk)).status_code == 302
    assert token(acme, renewed).status_code == 200
    assert owner.post(pages.url("authn.OAuthClient", "delete", client.pk), {"post": "yes"}).status_code == 302
    assert rows(acme, OAuthClient) == []
    done = [record.action for record in trail(acme, outcome="allowed") if record.action.startswith("api_client")]
    assert done == [f"api_client.{what}" for what in ("create", "rotate", "disable", "enable", "delete")]


def test_a_wrong_client_is_explained_at_its_field(acme, owner):
    for change, said in (
        ({"scopes": "nonsense"}, "is not one of"),
        ({"kind": "web"}, "Needed for authorization_code"),
        ({"kind": "signing", "keys": "{"}, "not a JWK set"),
        ({"kind": "web", "redirect_uris": "http://public.example/x"}, "https"),
    ):
        answer = owner.post(ADD, {**FORM, **change})
        assert answer.status_code == 200 and said in answer.content.decode(), change
    assert rows(acme, OAuthClient) == []
