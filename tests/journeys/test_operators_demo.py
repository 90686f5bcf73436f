"""The operators' side of the demo: the seed, and reading the audit trail."""

from __future__ import annotations

import json
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import authenticate
from django.core.management import CommandError, call_command

from apps.agents.models import Agent
from apps.audit.models import AuditRecord
from apps.authn.models import AccessKey
from apps.broker import contracts as c
from apps.broker.run import run
from apps.connections.models import PrincipalLink
from apps.core.errors import PortalError
from apps.tenants.models import Membership, Tenant, User
from apps.tenants.scope import tenant_scope


def command(*arguments: str) -> dict[str, Any]:
    out = StringIO()
    call_command(*arguments, "--json", stdout=out)
    answer: dict[str, Any] = json.loads(out.getvalue())
    return answer


@pytest.fixture(scope="module")
def demo_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo-home")


@pytest.fixture
def seed(settings: Any, demo_home: Path) -> Callable[[], dict[str, Any]]:
    """`seed_demo` in a database that keeps what an earlier test of this module seeded."""
    settings.DEMO, settings.PORTAL_HOME = True, demo_home
    return lambda: command("seed_demo")


def secret_file(home: Path, name: str) -> dict[str, dict[str, Any]]:
    content: dict[str, dict[str, Any]] = json.loads((home / "demo" / name).read_text())
    return content


def test_the_seed_refuses_where_the_demo_is_off(settings: Any, tmp_path: Path) -> None:
    settings.DEMO, settings.PORTAL_HOME = False, tmp_path
    with pytest.raises(CommandError, match="make demo"):
        command("seed_demo")
    assert not (tmp_path / "demo").exists()


def test_the_seed_makes_the_promised_people_tenants_and_agents(seed: Callable[[], dict[str, Any]]) -> None:
    seed()
    roles = {
        (m.user.email, m.tenant.slug): m.role
        for m in Membership.objects.filter(tenant__slug__in=["acme", "globex"]).select_related("user", "tenant")
    }
    assert roles == {
        ("priya@acme.example", "acme"): "tenant_admin",
        ("sam@acme.example", "acme"): "security_auditor",
        ("dana@acme.example", "acme"): "end_user",
        ("lee@acme.example", "acme"): "end_user",
        ("gus@globex.example", "globex"): "tenant_admin",
    }
    assert User.objects.get(email="root@portal.example").is_platform_admin
    agents = {}
    for slug in ("acme", "globex"):
        with tenant_scope(Tenant.objects.get(slug=slug).id):
            agents[slug] = set(Agent.objects.values_list("name", flat=True))
            links = set(PrincipalLink.objects.values_list("principal__subject", "user__email"))
        if slug == "acme":
            assert links == {("dana", "dana@acme.example"), ("lee", "lee@acme.example")}
    assert agents == {"acme": {"release-notes-bot", "inbox-helper"}, "globex": {"ledger-bot"}}


def test_the_kept_passwords_are_those_of_the_accounts(
    seed: Callable[[], dict[str, Any]], demo_home: Path, rf: Any
) -> None:
    seed()
    for entry in secret_file(demo_home, "people.json").values():
        account = User.objects.get(email=entry["email"])
        assert account.check_password(entry["password"])
    request = rf.post("/signin/")
    priya = secret_file(demo_home, "people.json")["priya"]
    assert authenticate(request, username=priya["email"], password=priya["password"]) is not None


def test_seeding_again_changes_nothing(seed: Callable[[], dict[str, Any]], demo_home: Path) -> None:
    seed()
    acme = Tenant.objects.get(slug="acme")
    with tenant_scope(acme.id):
        before = AuditRecord.objects.count()
    files = [(demo_home / "demo" / name).read_text() for name in ("people.json", "keys.json")]
    assert seed()["made"].startswith("nothing")
    with tenant_scope(acme.id):
        assert AuditRecord.objects.count() == before
    assert [(demo_home / "demo" / name).read_text() for name in ("people.json", "keys.json")] == files


def test_a_lost_key_file_gets_new_keys_that_work(seed: Callable[[], dict[str, Any]], demo_home: Path) -> None:
    seed()
    old = secret_file(demo_home, "keys.json")["acme"]
    (demo_home / "demo" / "keys.json").unlink()
    assert "access key of acme" in seed()["made"]
    new = secret_file(demo_home, "keys.json")["acme"]
    assert new["account_id"] == old["account_id"] and new["access_key_id"] != old["access_key_id"]
    with tenant_scope(Tenant.objects.get(slug="acme").id):
        assert AccessKey.objects.get(key_id=new["access_key_id"]).full_access


def test_a_lost_password_file_is_said_and_nobodys_password_is_replaced(
    seed: Callable[[], dict[str, Any]], demo_home: Path
) -> None:
    seed()
    file = demo_home / "demo" / "people.json"
    kept = file.read_text()
    file.unlink()
    try:
        with pytest.raises(CommandError, match="does not know the password"):
            seed()
        assert not file.exists()
    finally:
        file.write_text(kept)
    priya = secret_file(demo_home, "people.json")["priya"]
    assert User.objects.get(email=priya["email"]).check_password(priya["password"])


# --- audit_trail ------------------------------------------------------------------------------------------------


def test_the_trail_is_newest_first_and_as_long_as_asked(acme: Any) -> None:
    for name in ("first-agent", "second-agent"):
        run(c.CreateAgent(name=name), acme.caller())
    records = command("audit_trail", acme.slug, "--last", "2")["records"]
    assert [(record["action"], record["agent"]) for record in records] == [
        ("agent.create", "second-agent"),
        ("agent.create", "first-agent"),
    ]
    assert records[0]["actor"] == acme.access_key_id and records[0]["outcome"] == "allowed"
    assert records[0]["at"].endswith("+00:00")


def test_the_trail_says_on_whose_behalf(acme: Any) -> None:
    run(c.CreateAgent(name="an-agent"), acme.caller())
    run(c.IssueWorkloadTokenForUserId(agent="an-agent", user_id="u-17"), acme.caller())
    record = command("audit_trail", acme.slug, "--last", "1")["records"][0]
    assert record["person"] == "user id u-17"
    assert record["on_behalf_of"].startswith("p_")


def test_the_trail_shows_refusals(acme: Any) -> None:
    with pytest.raises(PortalError):
        run(c.GetAgent(name="nobody-here"), acme.caller())
    record = command("audit_trail", acme.slug, "--last", "1")["records"][0]
    assert (record["action"], record["outcome"], record["reason"]) == ("agent.read", "denied", "agent_not_found")


def test_the_trail_of_another_tenant_is_not_in_it(acme: Any, globex: Any) -> None:
    run(c.CreateAgent(name="globex-agent"), globex.caller())
    shown = json.dumps(command("audit_trail", acme.slug, "--last", "1000"))
    assert "globex-agent" not in shown and globex.access_key_id not in shown
    assert "globex-agent" in json.dumps(command("audit_trail", globex.slug))


def test_people_read_the_trail_as_lines(acme: Any) -> None:
    run(c.CreateAgent(name="an-agent"), acme.caller())
    out = StringIO()
    call_command("audit_trail", acme.slug, "--last", "1", stdout=out)
    assert f"allowed    agent.create  by {acme.access_key_id}  agent an-agent" in out.getvalue()


@pytest.mark.parametrize("wrong", ["0", "-1", "many", "10001"])
def test_a_number_that_is_none_is_refused(acme: Any, wrong: str) -> None:
    with pytest.raises(CommandError, match="a number from 1 to 10000"):
        call_command("audit_trail", acme.slug, f"--last={wrong}")


def test_an_unknown_tenant_is_said(acme: Any) -> None:
    with pytest.raises(CommandError, match="There is no tenant 'nowhere'"):
        call_command("audit_trail", "nowhere")
