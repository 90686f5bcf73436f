"""The operators' commands: one JSON object, exit status and messages fit for scripts."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from pathlib import Path

import boto3
import pytest
import requests
from botocore.exceptions import ClientError

from apps.connections.models import PrincipalLink
from apps.tenants.models import Membership, Tenant, User
from apps.tenants.scope import tenant_scope
from tests.support import PLAIN, control, trail

ROOT = Path(__file__).resolve().parents[2]


def manage(*arguments: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
    env = {k: v for k, v in os.environ.items() if k != "DATABASE_OWNER_URL"}
    return subprocess.run(
        [sys.executable, "manage.py", *arguments], cwd=ROOT, env=env, input=text, capture_output=True, text=True
    )


def answered(*arguments: str, text: str | None = None) -> dict:
    done = manage(*arguments, "--json", text=text)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.strip().splitlines()) == 1
    return json.loads(done.stdout)


def slug() -> str:
    return f"c-{secrets.token_hex(4)}"


def test_create_tenant_prints_what_a_client_needs(portal):
    name = slug()
    made = answered("create_tenant", name, "--name", "Acme")
    assert set(made) == {"tenant", "account_id", "access_key_id", "secret_access_key", "endpoint_url"}
    assert made["tenant"] == name and len(made["account_id"]) == 12 and made["endpoint_url"] == portal.url
    client = boto3.client(
        "bedrock-agentcore-control",
        endpoint_url=f"{made['endpoint_url']}/t/{name}",
        region_name="local",
        aws_access_key_id=made["access_key_id"],
        aws_secret_access_key=made["secret_access_key"],
        config=PLAIN,
    )
    arn = client.create_workload_identity(name="bot")["workloadIdentityArn"]
    assert (
        arn
        == f"arn:aws:bedrock-agentcore:local:{made['account_id']}:workload-identity-directory/default/workload-identity/bot"
    )
    tenant = Tenant.objects.get(slug=name)
    assert tenant.binding_mode == "open" and not tenant.claim_user_ids
    assert trail(tenant)[0].action == "tenant.create"


def test_a_taken_slug_and_a_bad_one_are_said_on_standard_error(acme):
    for wrong in (acme.slug, "No_Good", "x"):
        done = manage("create_tenant", wrong, "--json")
        assert done.returncode == 1 and done.stdout == "" and "slug" in done.stderr
        assert "Traceback" not in done.stderr


def test_closed_and_development_tenants():
    made = answered("create_tenant", slug(), "--closed", "--dev")
    tenant = Tenant.objects.get(slug=made["tenant"])
    assert tenant.binding_mode == "closed" and tenant.claim_user_ids


def test_create_user_with_a_password_from_standard_input_and_a_user_id(acme):
    email = f"dana-{secrets.token_hex(3)}@acme.example"
    password = secrets.token_urlsafe(18)
    made = answered(
        "create_user",
        email,
        "--tenant",
        acme.slug,
        "--role",
        "end_user",
        "--user-id",
        "dana",
        "--password-stdin",
        text=password + "\n",
    )
    assert made == {"email": email, "tenant": acme.slug, "role": "end_user", "user_id": "dana"}
    user = User.objects.get(email=email)
    assert user.check_password(password)
    assert Membership.objects.get(user=user).role == "end_user"
    with tenant_scope(acme.id):
        assert PrincipalLink.objects.get(user=user).principal.subject == "dana"


@pytest.mark.parametrize(
    "arguments",
    [
        ("nobody", "--tenant", "{slug}", "--role", "end_user"),
        ("a@b.example", "--role", "end_user"),
        ("a@b.example", "--tenant", "no-such-tenant", "--role", "end_user"),
        ("a@b.example", "--tenant", "{slug}", "--role", "platform_admin"),
    ],
)
def test_create_user_refuses_what_makes_no_sense(acme, arguments):
    before = User.objects.count()
    done = manage("create_user", *(a.format(slug=acme.slug) for a in arguments))
    assert done.returncode == 1 and done.stderr and "Traceback" not in done.stderr
    assert User.objects.count() == before


def test_a_weak_password_is_refused(acme):
    done = manage(
        "create_user", "w@acme.example", "--tenant", acme.slug, "--role", "end_user", "--password-stdin", text="short\n"
    )
    assert done.returncode == 1 and "password" in done.stderr.lower()


def test_the_password_of_an_account_that_exists_is_refused_in_a_sentence_that_says_what_to_do(acme, globex):
    """Ignored, the operator would hand out a password that does not work; taken, it would be a takeover."""
    email = f"dana-{secrets.token_hex(3)}@acme.example"
    first, second = secrets.token_urlsafe(18), secrets.token_urlsafe(18)
    password = ("--password-stdin", "--role", "end_user", "--tenant")
    answered("create_user", email, *password, acme.slug, text=first + "\n")
    for tenant in (acme, globex):
        done = manage("create_user", email, *password, tenant.slug, "--user-id", "dana", "--json", text=second + "\n")
        assert done.returncode == 1 and done.stdout == "" and "Traceback" not in done.stderr
        assert "already" in done.stderr and "Leave the password out" in done.stderr
        (record,) = trail(tenant, action="member.add", outcome="denied")
        assert record.reason == "user_exists"
    user = User.objects.get(email=email)
    assert user.check_password(first) and not user.check_password(second)
    assert [str(row.tenant_id) for row in user.memberships.all()] == [str(acme.id)]
    assert answered("create_user", email, "--role", "approver", "--tenant", globex.slug)["role"] == "approver"
    assert User.objects.get(email=email).check_password(first) and user.memberships.count() == 2


def test_a_later_key_starts_with_nothing_and_may_do_only_what_it_is_given(acme, portal):
    control(acme, portal.url).create_workload_identity(name="bot")
    nothing = answered("create_access_key", "--tenant", acme.slug)
    reader = answered(
        "create_access_key",
        "--tenant",
        acme.slug,
        "--allow",
        "GetWorkloadIdentity:*",
        "--allow",
        "bedrock-agentcore:List*:arn:aws:bedrock-agentcore:*:*:workload-identity-directory/default",
    )
    pair = lambda made: (made["access_key_id"], made["secret_access_key"])  # noqa: E731
    with pytest.raises(ClientError) as refused:
        control(acme, portal.url, key=pair(nothing)).get_workload_identity(name="bot")
    assert refused.value.response["Error"]["Code"] == "AccessDeniedException"
    client = control(acme, portal.url, key=pair(reader))
    assert client.get_workload_identity(name="bot")["name"] == "bot"
    assert client.list_workload_identities()["workloadIdentities"]
    with pytest.raises(ClientError) as refused:
        client.delete_workload_identity(name="bot")
    assert refused.value.response["Error"]["Code"] == "AccessDeniedException"
    assert trail(acme, action="agent.delete", outcome="denied")[-1].reason == "no_permission"


def test_a_key_for_one_agent_serves_no_other(acme, portal):
    client = control(acme, portal.url)
    client.create_workload_identity(name="bot")
    client.create_workload_identity(name="other")
    made = answered("create_access_key", "--tenant", acme.slug, "--agent", "bot", "--allow", "*:*")
    from tests.support import data

    mine = data(acme, portal.url, key=(made["access_key_id"], made["secret_access_key"]))
    assert mine.get_workload_access_token(workloadName="bot")["workloadAccessToken"]
    with pytest.raises(ClientError) as refused:
        mine.get_workload_access_token(workloadName="other")
    assert refused.value.response["Error"]["Code"] == "AccessDeniedException"


def test_trust_issuer_reads_discovery_and_then_tokens_prove_people(acme, portal, hub):
    client = control(acme, portal.url)
    client.create_workload_identity(name="bot")
    from tests.support import data

    jwt = hub.person("dana").sign_in_and_get_jwt()
    with pytest.raises(ClientError) as refused:
        data(acme, portal.url).get_workload_access_token_for_jwt(workloadName="bot", userToken=jwt)
    assert "trust_issuer" in refused.value.response["Error"]["Message"]
    made = answered("trust_issuer", acme.slug, f"{hub.url}/.well-known/openid-configuration", "--audience", "demo-app")
    assert made["issuer"] == hub.url
    for _ in range(2):  # the first goes the slow way and makes the principal, the second the fast one
        answer = data(acme, portal.url).get_workload_access_token_for_jwt(workloadName="bot", userToken=jwt)
        assert answer["workloadAccessToken"]
    people = {r.on_behalf_of for r in trail(acme, action="workload_token.issue_for_jwt", outcome="allowed")}
    assert len(people) == 1 and people.pop().startswith("p_")


def test_an_agent_narrowed_to_its_own_issuer_no_longer_takes_the_tenants(acme, portal, hub):
    """T045: a token of another authorizer of the same tenant."""
    client = control(acme, portal.url)
    client.create_workload_identity(name="bot")
    client.create_workload_identity(name="narrow")
    from tests.support import data

    discovery = f"{hub.url}/.well-known/openid-configuration"
    answered("trust_issuer", acme.slug, discovery, "--audience", "demo-app")
    answered("trust_issuer", acme.slug, discovery, "--audience", "somebody-else", "--agent", "narrow")
    jwt = hub.person("dana").sign_in_and_get_jwt()
    wire = data(acme, portal.url)
    for _ in range(2):
        assert wire.get_workload_access_token_for_jwt(workloadName="bot", userToken=jwt)
        with pytest.raises(ClientError) as refused:
            wire.get_workload_access_token_for_jwt(workloadName="narrow", userToken=jwt)
        assert refused.value.response["Error"]["Code"] in ("UnauthorizedException", "AccessDeniedException")


def test_explain_and_unbound_use_answer_from_the_command_line(new_tenant):
    from tests.hot_path.test_agreement import World, _binding

    w = World(new_tenant(), False)
    slug_, ask = w.handle.slug, ("--agent", "bot", "--provider", "hub", "--flow", "user_federation", "--scope", "a")
    key = ("--key", w.handle.access_key_id)
    answer = answered("explain", slug_, *ask, "--user-id", "dana", *key)
    assert (answer["outcome"], answer["reason"]) == ("allowed", "")
    assert all(clause["holds"] and clause["sentence"] for clause in answer["clauses"])
    with _binding(w, scope_ceiling=["b"]):
        answer = answered("explain", slug_, *ask, "--user-id", "dana", *key)
        assert (answer["outcome"], answer["decided_by"]) == ("denied", "binding.scopes")
        assert answer["clauses"][-1]["told"] == {"asked": ["a"], "allowed": ["b"]}
    for wrong in (ask[:4], (*ask, "--issuer", "https://i.example"), ("--request", "never-was")):
        done = manage("explain", slug_, *wrong)
        assert done.returncode == 1 and done.stderr and "Traceback" not in done.stderr
    found = answered("unbound_use", slug_)
    assert [(one["agent"], one["provider"], one["scopes"]) for one in found["unbound"]] == [("bot", "hub", ["a", "b"])]
    assert len(answered("unbound_use", slug_, "--bind", "--ceilings")["bound"]) == 1
    assert answered("unbound_use", slug_)["unbound"] == []


def test_doctor_says_what_it_looked_at():
    found = answered("doctor")
    looked_at = {"database", "migrations", "key_ring", "audit_partitions", "redis"}
    assert found == {"status": "ok", **dict.fromkeys(looked_at, "ok"), "authorities": "public"}


def test_doctor_fails_with_a_wrong_key(tmp_path):
    import base64

    wrong = tmp_path / "home"
    (wrong / "keys").mkdir(parents=True, mode=0o700)
    for name in ("django_secret_key", "operator_fernet.keys"):
        (wrong / "keys" / name).write_text((Path(os.environ["IDENTITY_PORTAL_HOME"]) / "keys" / name).read_text())
    (wrong / "keys" / "vault_root.key").write_text(base64.b64encode(os.urandom(32)).decode())
    for file in (wrong / "keys").iterdir():
        file.chmod(0o600)
    env = {**os.environ, "IDENTITY_PORTAL_HOME": str(wrong)}
    done = subprocess.run(
        [sys.executable, "manage.py", "doctor", "--json"], cwd=ROOT, env=env, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert json.loads(done.stdout)["key_ring"] != "ok"
    served = subprocess.run(
        [sys.executable, "-c", "import identity_portal.wsgi"], cwd=ROOT, env=env, capture_output=True, text=True
    )
    assert served.returncode != 0 and "key ring" in served.stderr


def test_the_service_refuses_to_run_as_the_owner():
    env = {**os.environ, "DATABASE_URL": os.environ["DATABASE_OWNER_URL"]}
    served = subprocess.run(
        [sys.executable, "-c", "import identity_portal.wsgi"], cwd=ROOT, env=env, capture_output=True, text=True
    )
    assert served.returncode != 0 and "row security" in served.stderr


def test_an_issuer_behind_an_authority_of_ones_own_is_reached_with_its_bundle_only(acme, tmp_path):
    import ssl

    import trustme

    from tests.fakes.hostile_acts import json_answer
    from tests.fakes.hostile_server import HostileServer

    ca = trustme.CA()
    bundle = tmp_path / "ca.pem"
    ca.cert_pem.write_to_path(bundle)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("127.0.0.1").configure_cert(tls)
    with HostileServer(tls=tls) as server:
        issuer = server.url("").rstrip("/")
        assert issuer.startswith("https://")
        document = {"issuer": issuer, "jwks_uri": f"{issuer}/jwks"}
        document |= {"authorization_endpoint": f"{issuer}/authorize", "token_endpoint": f"{issuer}/token"}
        server.at("/.well-known/openid-configuration", json_answer(document))
        allowed = {"IDENTITY_PORTAL_ALLOWED_PRIVATE_UPSTREAMS": "{}:{}".format(*server.address)}

        def run(*command, **env):
            return subprocess.run(
                [sys.executable, "manage.py", *command, "--json"],
                cwd=ROOT,
                env={**os.environ, **allowed, **env},
                capture_output=True,
                text=True,
            )

        trust = ("trust_issuer", acme.slug, f"{issuer}/.well-known/openid-configuration", "--audience", "a")
        refused = run(*trust)
        assert refused.returncode == 1 and "certificate" in refused.stderr.lower(), refused.stderr
        trusted = run(*trust, IDENTITY_PORTAL_CA_BUNDLE=str(bundle))
        assert trusted.returncode == 0, trusted.stderr
        assert json.loads(trusted.stdout)["issuer"] == issuer
    reported = run("doctor", IDENTITY_PORTAL_CA_BUNDLE=str(bundle))
    assert json.loads(reported.stdout)["authorities"] == f"public, and those in {bundle}"
    stopped = run("doctor", IDENTITY_PORTAL_CA_BUNDLE=str(tmp_path / "none.pem"))
    assert stopped.returncode == 1 and "IDENTITY_PORTAL_CA_BUNDLE names a file that is not there" in stopped.stderr


def test_check_deploy_refuses_plain_http():
    done = manage("check", "--deploy")
    assert "portal.E002" in done.stderr


def test_check_deploy_finds_nothing_of_rfc_9700_left_open_in_the_authorization_server():
    """By doing what is asked, not by looking away: nothing of the library is silenced."""
    from django.conf import settings
    from oauth2_provider.settings import DEFAULTS

    assert "oauth2_provider." not in manage("check", "--deploy").stderr
    assert not any(name.startswith("oauth2_provider") for name in settings.SILENCED_SYSTEM_CHECKS)
    gates = {name for name in DEFAULTS if name.startswith("COMPLIANT_BCP_")}
    assert gates and all(settings.OAUTH2_PROVIDER[name] is True for name in gates)  # those of a later release too


def test_a_client_is_made_renewed_and_disabled_and_its_tenants_keys_rotate(portal):
    tenant = answered("create_tenant", slug())["tenant"]
    made = answered("create_api_client", tenant, "reporter", "--scope", "agents:read")
    assert set(made) == {"tenant", "client_id", "issuer", "token_endpoint", "client_secret"}
    form = {"grant_type": "client_credentials", "scope": "agents:read"}

    def ask(secret: str) -> int:
        return requests.post(made["token_endpoint"], form, auth=(made["client_id"], secret), timeout=30).status_code

    assert ask(made["client_secret"]) == 200
    renewed = answered("api_client", tenant, made["client_id"], "rotate")
    assert (ask(made["client_secret"]), ask(renewed["client_secret"])) == (401, 200)
    assert answered("api_client", tenant, made["client_id"], "disable")["done"] == "disable"
    assert ask(renewed["client_secret"]) == 401
    kids = answered("rotate_signing_keys", tenant)["signing"]
    published = requests.get(f"{made['issuer']}/oauth2/jwks", timeout=30).json()["keys"]
    assert set(kids) <= {key["kid"] for key in published}


def test_a_client_that_signs_brings_its_public_keys(portal):
    tenant = answered("create_tenant", slug())["tenant"]
    refused = manage("create_api_client", tenant, "x", "--scope", "agents:read", "--jwks-stdin", text="nonsense")
    assert refused.returncode == 1 and "JWK set" in refused.stderr
    key = {"kty": "OKP", "crv": "Ed25519", "kid": "k1", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
    made = answered(
        "create_api_client", tenant, "x", "--scope", "agents:read", "--jwks-stdin", text=json.dumps({"keys": [key]})
    )
    assert "client_secret" not in made
