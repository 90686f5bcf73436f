"""Sealed bytes moved or changed by somebody who can write to the database open nowhere."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from apps.vault import keys
from tests.security import oracle
from tests.security.lab import RETURN, Flow, Lab, denied, must
from tests.security.wire import Reply, Wire

CONNECTION, PROVIDER, KEY, SESSION = (
    "connections_connection",
    "providers_provider",
    "authn_accesskey",
    "connections_consentsession",
)


def sealed(lab: Lab, table: str, column: str, row: UUID | None = None) -> tuple[UUID, bytes, int]:
    """Row id, bytes and version of the one secret in this place."""
    found = lab.rows(
        'SELECT row_id, blob, version FROM vault_sealedsecret WHERE "table" = %s AND "column" = %s '
        "AND (%s::uuid IS NULL OR row_id = %s) AND tenant_id = %s",
        table,
        column,
        row,
        row,
    )
    assert len(found) == 1, (table, column, len(found))
    return found[0][0], bytes(found[0][1]), found[0][2]


def put(lab: Lab, table: str, row: UUID, column: str, blob: bytes, version: int | None = None) -> None:
    oracle.execute(
        'UPDATE vault_sealedsecret SET blob = %s, version = coalesce(%s, version) WHERE "table" = %s AND row_id = %s '
        'AND "column" = %s AND tenant_id = %s',
        blob,
        version,
        table,
        row,
        column,
        lab.tenant.id,
    )


def connection_of(lab: Lab, flow: Flow) -> UUID:
    return lab.rows(
        "SELECT c.id FROM connections_connection c JOIN connections_principal p ON p.id = c.principal_id "
        "WHERE p.subject = %s AND c.tenant_id = %s",
        flow.user,
    )[0][0]


def does_not_open(lab: Lab, call: Any, *secrets: str, calls: tuple[str, ...] = ()) -> Reply:
    """The call fails as modelled, says so in the trail, and gives none of these."""
    with lab.watching() as watch:
        reply = call()
    assert reply.status >= 400, reply.body
    assert reply.code in ("InternalServerException", "DecryptionFailure", "UnauthorizedException"), reply.code
    assert not any(secret in reply.body.decode() for secret in secrets)
    failures = [r for r in watch.records if r.action == "vault.integrity_failure"]
    assert [(r.outcome, r.reason) for r in failures] == [("failed", "vault_integrity")]
    assert set(watch.calls) <= set(calls), "a secret that did not open must not be used elsewhere"
    assert not any(secret in str(watch.records) for secret in secrets)
    return reply


# --- transplants --------------------------------------------------------------------------------------------------


@pytest.mark.case("T076")
def test_T076_another_persons_token_does_not_open_in_my_place(lab: Lab) -> None:
    mine, theirs = lab.connect(), lab.connect()
    token = must(lab.ask(mine.wat))["accessToken"]
    stolen = must(lab.ask(theirs.wat))["accessToken"]
    my_row, their_row = connection_of(lab, mine), connection_of(lab, theirs)
    _, kept, _ = sealed(lab, CONNECTION, "access_token", my_row)
    _, blob, version = sealed(lab, CONNECTION, "access_token", their_row)
    put(lab, CONNECTION, my_row, "access_token", blob, version)
    does_not_open(lab, lambda: lab.ask(mine.wat), stolen, token)
    status = lab.rows(
        "SELECT status, status_reason FROM connections_connection WHERE id = %s AND tenant_id = %s", my_row
    )
    assert status == [("needs_reconsent", "vault_integrity")], "out of service until the person consents again"
    assert "accessToken" not in must(lab.ask(mine.wat, resourceOauth2ReturnUrl=RETURN))
    assert must(lab.ask(theirs.wat))["accessToken"] == stolen
    put(lab, CONNECTION, my_row, "access_token", kept)
    lab.works()


@pytest.mark.case("T076")
def test_T076_a_refresh_token_does_not_open_as_an_access_token(lab: Lab) -> None:
    flow = lab.connect()
    row = connection_of(lab, flow)
    _, blob, version = sealed(lab, CONNECTION, "refresh_token", row)
    put(lab, CONNECTION, row, "access_token", blob, version)
    reply = does_not_open(lab, lambda: lab.ask(flow.wat), "hubrt_", "hubat_")
    assert (reply.status, reply.code) == (500, "InternalServerException")


@pytest.mark.case("T076")
def test_T076_an_access_token_is_not_sent_as_a_refresh_token(lab: Lab) -> None:
    flow = lab.connect()
    row = connection_of(lab, flow)
    _, blob, version = sealed(lab, CONNECTION, "access_token", row)
    put(lab, CONNECTION, row, "refresh_token", blob, version)
    oracle.execute(
        "UPDATE connections_connection SET refresh_after = now(), access_expires_at = now() WHERE id = %s", row
    )
    does_not_open(lab, lambda: lab.ask(flow.wat), "hubrt_", "hubat_")


@pytest.mark.case("T076")
def test_T076_a_renewal_that_cannot_open_its_token_is_said_even_while_the_old_one_serves(lab: Lab) -> None:
    flow = lab.connect()
    token = must(lab.ask(flow.wat))["accessToken"]
    row = connection_of(lab, flow)
    _, blob, version = sealed(lab, CONNECTION, "access_token", row)
    put(lab, CONNECTION, row, "refresh_token", blob, version)
    oracle.execute("UPDATE connections_connection SET refresh_after = now() WHERE id = %s", row)
    with lab.watching() as watch:
        assert must(lab.ask(flow.wat))["accessToken"] == token
    assert watch.reasons()["vault_integrity"] == 1 and watch.calls == []


@pytest.mark.case("T076")
def test_T076_a_client_secret_does_not_open_as_an_api_key_nor_for_another_provider(own_lab: Lab) -> None:
    lab = own_lab
    own = lab.wat()
    must(lab.ask_api_key(own))
    secret_row, client_secret, version = sealed(lab, PROVIDER, "client_secret")
    key_row, api_key, key_version = sealed(lab, PROVIDER, "api_key")
    put(lab, PROVIDER, key_row, "api_key", client_secret, version)
    does_not_open(lab, lambda: lab.ask_api_key(own), lab.client.client_secret, lab.api_key)
    put(lab, PROVIDER, secret_row, "client_secret", api_key, key_version)
    machine = {"oauth2Flow": "M2M", "scopes": ["status:read"]}
    does_not_open(lab, lambda: lab.ask(own, **machine), lab.client.client_secret, lab.api_key)
    flow = lab.start()
    lab.consent(flow)
    does_not_open(lab, lambda: lab.complete(flow), lab.client.client_secret, calls=("jwks",))
    put(lab, PROVIDER, secret_row, "client_secret", client_secret, version)
    put(lab, PROVIDER, key_row, "api_key", api_key, key_version)
    must(lab.ask(own, **machine))
    assert must(lab.ask_api_key(own))["apiKey"] == lab.api_key


@pytest.mark.case("T076")
def test_T076_nothing_opens_in_another_tenant(own_lab: Lab, neighbour: Lab) -> None:
    """Not even with the wrapped key copied along: it is bound to its tenant as well."""
    lab = own_lab
    own = lab.wat()
    must(lab.ask_api_key(own))
    theirs = must(neighbour.ask_api_key(neighbour.wat()))["apiKey"]
    row, _, _ = sealed(lab, PROVIDER, "api_key")
    _, foreign, foreign_version = sealed(neighbour, PROVIDER, "api_key")
    put(lab, PROVIDER, row, "api_key", foreign, foreign_version)
    does_not_open(lab, lambda: lab.ask_api_key(own), theirs, lab.api_key)
    here = Wire(lab.portal.url, lab.wire.key_id, lab.wire.secret, here=True)
    must(here.call("GetTokenVault"))  # from here on its signing key is in this process's memory
    oracle.execute("DELETE FROM vault_tenantkey WHERE tenant_id = %s", lab.tenant.id)
    oracle.execute(
        "INSERT INTO vault_tenantkey (tenant_id, id, version, state, ring, wrapped, created_at) "
        "SELECT %s, id, version, state, ring, wrapped, created_at FROM vault_tenantkey WHERE tenant_id = %s",
        lab.tenant.id,
        neighbour.tenant.id,
    )
    keys.forget_cached()
    does_not_open(lab, lambda: lab.ask_api_key(own, wire=here), theirs, lab.api_key)
    assert must(neighbour.ask_api_key(neighbour.wat()))["apiKey"] == theirs


@pytest.mark.case("T076")
def test_T076_another_access_keys_secret_does_not_verify_signatures(own_lab: Lab) -> None:
    """Moving the secret of a key one knows onto a stronger key would make one's signatures good for it."""
    lab = own_lab
    weak = lab.key(("bedrock-agentcore:GetTokenVault", "*"))
    strong = lab.rows("SELECT id FROM authn_accesskey WHERE full_access AND tenant_id = %s")[0][0]
    mine = lab.rows("SELECT id FROM authn_accesskey WHERE key_id = %s AND tenant_id = %s", weak.key_id)[0][0]
    _, blob, version = sealed(lab, KEY, "secret", mine)
    put(lab, KEY, strong, "secret", blob, version)
    from apps.authn import sigv4_keys

    sigv4_keys.forget_cached()
    forged = Wire(lab.portal.url, lab.wire.key_id, weak.secret, here=True)
    with lab.refuses("vault_integrity", action="vault.integrity_failure"):
        reply = forged.call("ListWorkloadIdentities")
    nobody = Wire(lab.portal.url, sigv4_keys.new_key_id(lab.tenant.account_id), weak.secret, here=True)
    assert reply.comparable == nobody.call("ListWorkloadIdentities").comparable
    denied(reply, 401, "UnauthorizedException")


# --- changed bytes ------------------------------------------------------------------------------------------------

# Where each part of a sealed value begins (envelope.py): one flip in each.
PARTS = {
    "format": 0,
    "algorithm": 1,
    "key id": 2,
    "key version": 21,
    "wrap nonce": 22,
    "wrapped data key": 34,
    "wrap tag": 66,
    "nonce": 82,
    "ciphertext": 94,
    "tag": -32,
    "commitment": -1,
}


@pytest.mark.case("T077")
def test_T077_one_flipped_bit_in_any_part_and_the_value_does_not_open(lab: Lab) -> None:
    own = lab.wat()
    row, blob, version = sealed(lab, PROVIDER, "api_key")
    for part, at in PARTS.items():
        spoilt = bytearray(blob)
        spoilt[at] ^= 1
        put(lab, PROVIDER, row, "api_key", bytes(spoilt))
        reply = does_not_open(lab, lambda: lab.ask_api_key(own), lab.api_key)
        assert reply.status == 500, part
    lengths = {"empty": b"", "one byte": blob[:1], "head only": blob[:22], "cut": blob[:-1], "longer": blob + b"\0"}
    for kind, spoilt in lengths.items():
        put(lab, PROVIDER, row, "api_key", spoilt)
        assert does_not_open(lab, lambda: lab.ask_api_key(own), lab.api_key).status == 500, kind
    put(lab, PROVIDER, row, "api_key", blob, version + 1)
    does_not_open(lab, lambda: lab.ask_api_key(own), lab.api_key)
    put(lab, PROVIDER, row, "api_key", blob, version)
    assert must(lab.ask_api_key(own))["apiKey"] == lab.api_key


@pytest.mark.case("T077")
def test_T077_every_bad_value_gets_one_and_the_same_answer(lab: Lab) -> None:
    own = lab.wat()
    row, blob, version = sealed(lab, PROVIDER, "api_key")
    answers = set()
    for at in PARTS.values():
        spoilt = bytearray(blob)
        spoilt[at] ^= 0x80
        put(lab, PROVIDER, row, "api_key", bytes(spoilt))
        answers.add(lab.ask_api_key(own).body)
    put(lab, PROVIDER, row, "api_key", blob, version)
    assert len(answers) == 1


@pytest.mark.case("T077")
def test_T077_what_is_not_there_is_not_broken(lab: Lab) -> None:
    flow = lab.connect()
    row = connection_of(lab, flow)
    oracle.execute("DELETE FROM vault_sealedsecret WHERE row_id = %s", row)
    with lab.watching() as watch:
        reply = must(lab.ask(flow.wat, resourceOauth2ReturnUrl=RETURN))
    assert "accessToken" not in reply and reply["authorizationUrl"]
    assert watch.reasons()["vault_integrity"] == 0
    key_row, blob, version = sealed(lab, PROVIDER, "api_key")
    oracle.execute("DELETE FROM vault_sealedsecret WHERE row_id = %s", key_row)
    with lab.refuses("api_key_missing"):
        denied(lab.ask_api_key(flow.wat), 404, "ResourceNotFoundException")
    must(lab.wire.call("UpdateApiKeyCredentialProvider", {"name": "weather", "apiKey": lab.api_key}))
    assert must(lab.ask_api_key(flow.wat))["apiKey"] == lab.api_key
