"""A tenant's signing keys and the documents relying parties read."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.conf import settings
from django.test import Client

from apps.authn.jwt import signing
from apps.authn.models import SigningKey
from apps.broker.authorization_server import signing_keys
from apps.broker.authorization_server.signing_keys import RotateSigningKeys
from apps.broker.control_plane.tenants import system_caller
from apps.broker.run import run
from apps.core import clock
from apps.core.errors import Invalid, NotAllowed
from apps.tenants import due
from apps.tenants.models import DueItem
from apps.tenants.scope import tenant_scope
from apps.vault.models import SealedSecret
from tests.support import rows, trail


def sign_something(tenant, algorithm="ES384", now=None):
    with tenant_scope(tenant.id):
        key, kid = signing_keys.signer(algorithm, now=now or clock.now())
    return signing.sign({"sub": "x"}, key=key, algorithm=algorithm, kid=kid), kid


def published(tenant):
    response = Client().get(f"/t/{tenant.slug}/oauth2/jwks")
    assert response.status_code == 200
    return {key["kid"]: key for key in response.json()["keys"]}


def rotate(tenant, **options):
    return run(RotateSigningKeys(**options), system_caller(tenant.tenant, "test"))


@pytest.mark.parametrize("algorithm", ["ES384", "RS256"])
def test_a_signed_token_verifies_with_another_library_against_the_published_keys(acme, algorithm):
    import jwt

    token, kid = sign_something(acme, algorithm)
    key = jwt.PyJWK.from_dict(published(acme)[kid])
    assert jwt.decode(token, key, algorithms=[algorithm]) == {"sub": "x"}
    assert jwt.get_unverified_header(token) == {"alg": algorithm, "kid": kid, "typ": "JWT"}


def test_only_public_halves_are_published_and_the_private_ones_are_sealed(acme):
    sign_something(acme, "ES384")
    sign_something(acme, "RS256")
    for key in published(acme).values():
        assert set(key) in ({"kty", "crv", "x", "y", "kid", "alg", "use"}, {"kty", "n", "e", "kid", "alg", "use"})
    stored = rows(acme, SigningKey)
    assert {(row.algorithm, row.state) for row in stored} == {
        (algorithm, state) for algorithm in ("ES384", "RS256") for state in ("active", "next")
    }
    sealed = {row.row_id for row in rows(acme, SealedSecret, table="authn_signingkey")}
    assert sealed == {row.id for row in stored}
    assert "PRIVATE" not in json.dumps([row.public_jwk for row in stored])


def test_the_next_key_is_published_before_it_signs(acme):
    _, first = sign_something(acme)
    ahead = set(published(acme))
    rotate(acme)
    token, second = sign_something(acme)
    assert second != first and second in ahead
    assert {first, second} < set(published(acme)), "what the old key signed still verifies"


def test_a_retired_key_is_withdrawn_when_nothing_it_signed_can_live(acme):
    _, first = sign_something(acme)
    rotate(acme)
    with tenant_scope(acme.id):
        SigningKey.objects.filter(kid=first).update(state_since=clock.now() - timedelta(hours=26))
    assert first not in published(acme)
    rotate(acme)
    assert rows(acme, SigningKey, kid=first) == []


def test_a_compromised_key_is_withdrawn_at_once(acme):
    _, first = sign_something(acme)
    rotate(acme, compromised=True)
    assert first not in published(acme)
    [record] = trail(acme, action="signing_key.rotate")
    assert record.details["compromised"] is True and first not in record.details["kids"]


def test_the_clock_rotates_what_is_due_and_sets_the_next_time(acme):
    _, first = sign_something(acme)
    item = DueItem.objects.get(kind=signing_keys.KIND, tenant_id=acme.id)
    assert item.due_at > clock.now() + timedelta(days=29)
    due.schedule(tenant_id=acme.id, kind=signing_keys.KIND, item_id=acme.id, due_at=clock.now() - timedelta(days=900))
    assert signing_keys.sweep() >= 1
    assert sign_something(acme)[1] != first
    assert DueItem.objects.get(kind=signing_keys.KIND, tenant_id=acme.id).due_at > clock.now() + timedelta(days=29)


def test_nothing_is_signed_with_an_algorithm_that_is_not_ours(acme):
    with tenant_scope(acme.id), pytest.raises(Invalid):
        signing_keys.signer("HS256", now=clock.now())
    assert rows(acme, SigningKey) == []


def test_an_access_key_without_full_access_does_not_rotate(acme):
    from apps.broker import contracts as c

    made = run(c.CreateAccessKey(grants=(("*", "*"),)), acme.caller())
    weak = acme.caller(name=made.access_key_id, row_id=made.row_id)
    with pytest.raises(NotAllowed):
        run(RotateSigningKeys(), weak)


def test_metadata_is_the_same_at_both_addresses_and_names_the_tenant(acme):
    here = f"{settings.PUBLIC_URL}/t/{acme.slug}"
    first = Client().get(f"/t/{acme.slug}/.well-known/openid-configuration")
    second = Client().get(f"/.well-known/oauth-authorization-server/t/{acme.slug}")
    assert first.json() == second.json()
    assert first["Cache-Control"] == "public, max-age=3600"
    document = first.json()
    assert document["issuer"] == here and document["jwks_uri"] == f"{here}/oauth2/jwks"
    assert document["code_challenge_methods_supported"] == ["S256"]
    assert document["response_types_supported"] == ["code"]
    assert document["authorization_response_iss_parameter_supported"] is True


@pytest.mark.parametrize("path", ["/t/{0}/oauth2/jwks", "/.well-known/oauth-authorization-server/t/{0}"])
def test_a_name_that_is_no_tenant_is_reflected_into_nothing(path, acme):
    response = Client().get(path.format("nobody-here"))
    assert response.status_code == 404 and "nobody-here" not in response.content.decode()
    acme.tenant.status = "suspended"
    acme.tenant.save()
    suspended = Client().get(path.format(acme.slug))
    assert (suspended.status_code, suspended.content) == (response.status_code, response.content)
