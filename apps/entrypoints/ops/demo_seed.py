"""The demo's world: two tenants with their people and agents. Made once per home; asking again changes nothing.

What is shown only once elsewhere (access keys, passwords) is kept in two files that only their owner can read:
this is a demonstration on somebody's own machine, and it has to start again tomorrow.
"""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.conf import settings

from apps.agents.models import Agent
from apps.audit import operators
from apps.authn.models import AccessKey
from apps.broker import contracts as c
from apps.broker.aws_gate import new_request_id
from apps.broker.control_plane.people import checked_password
from apps.broker.control_plane.tenants import create_tenant, system_caller
from apps.broker.run import run
from apps.connections.models import PrincipalLink
from apps.core.errors import Conflict, NotAllowed
from apps.core.secret import Secret
from apps.tenants.models import Membership, Tenant, User
from apps.tenants.scope import tenant_scope

BY = "manage.py seed_demo"
TENANTS = {"acme": "Acme", "globex": "Globex"}
AGENTS = {"acme": ("release-notes-bot", "inbox-helper"), "globex": ("ledger-bot",)}


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody of the demo. `user_id` is what applications call them; no tenant means platform admin."""

    username: str
    name: str
    tenant: str | None
    role: str
    user_id: str | None = None

    @property
    def email(self) -> str:
        """Where Demo Hub has an account with the same address, it is the same person."""
        return f"{self.username}@{self.tenant or 'portal'}.example"


PEOPLE = (
    Person("priya", "Priya Nair", "acme", "tenant_admin"),
    Person("sam", "Sam Duarte", "acme", "security_auditor"),
    Person("dana", "Dana Whitfield", "acme", "end_user", "dana"),
    Person("lee", "Lee Okafor", "acme", "end_user", "lee"),
    Person("gus", "Gus Lindqvist", "globex", "tenant_admin"),
    Person("root", "Root", None, "platform_admin"),
)


@dataclass(slots=True)
class Seeded:
    """Where the secrets are, and what this run had to make."""

    people_file: Path
    keys_file: Path
    made: list[str] = field(default_factory=list)


def seed(home: Path) -> Seeded:
    """Bring the demo's world to how it should be.

    Raises NotAllowed where the demo is off, and Conflict where a tenant or account with a demo name is not the
    demo's own; whoever runs the demo can fix both.
    """
    if not settings.DEMO:
        raise NotAllowed("The demo is off. `make demo` starts a portal with it.", reason="demo_off")
    folder = home / "demo"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    seeded = Seeded(people_file=folder / "people.json", keys_file=folder / "keys.json")
    passwords = _passwords(seeded.people_file)
    tenants = {slug: _tenant(slug, name, seeded) for slug, name in TENANTS.items()}
    for person in PEOPLE:
        password = passwords[person.username]
        if person.tenant is None:
            _platform_admin(person, password, seeded)
        else:
            _member(tenants[person.tenant], person, password, seeded)
    for slug, names in AGENTS.items():
        for name in names:
            _agent(tenants[slug], name, seeded)
    return seeded


def _passwords(file: Path) -> dict[str, Secret]:
    """Everybody's password, written down before any account has it: a crash in between loses nothing."""
    known = _read(file)
    for person in PEOPLE:
        if person.username in known:
            continue
        if User.objects.filter(email=person.email).exists():
            raise Conflict(
                f"{person.email} exists, but {file} does not know the password. Start the demo on an empty home "
                "and database.",
                reason="demo_password_lost",
            )
        known[person.username] = {
            "email": person.email,
            "password": secrets.token_urlsafe(15),
            "name": person.name,
            "tenant": person.tenant,
            "role": person.role,
        }
    _write(file, known)
    return {username: Secret(entry["password"]) for username, entry in known.items()}


def _tenant(slug: str, name: str, seeded: Seeded) -> Tenant:
    keys = _read(seeded.keys_file)
    tenant = Tenant.objects.filter(slug=slug).first()
    if tenant is None:
        made = create_tenant(slug=slug, name=name, closed=False, dev=True, by=BY)
        tenant, key = made.tenant, made.key
        seeded.made.append(f"tenant {slug}")
    elif _works(tenant, keys.get(slug, {}).get("access_key_id")):
        return tenant
    elif not tenant.claim_user_ids:
        raise Conflict(f"There is a tenant {slug!r} that is not the demo's. Use another database.", reason="slug_taken")
    else:  # stopped between making the tenant and writing the key down, or the file was lost
        key = run(c.CreateAccessKey(label="demo key", full_access=True), system_caller(tenant, BY))
        seeded.made.append(f"access key of {slug}")
    keys[slug] = {
        "tenant": slug,
        "account_id": tenant.account_id,
        "access_key_id": key.access_key_id,
        "secret_access_key": key.secret_access_key.reveal(),
    }
    _write(seeded.keys_file, keys)
    return tenant


def _works(tenant: Tenant, key_id: str | None) -> bool:
    with tenant_scope(tenant.id):
        return AccessKey.objects.filter(key_id=key_id, status=AccessKey.Status.ACTIVE).exists()


def _member(tenant: Tenant, person: Person, password: Secret, seeded: Seeded) -> None:
    # Whoever tries things out may have given them another role; that is left alone.
    if not Membership.objects.filter(tenant=tenant, user__email=person.email).exists():
        first = None if User.objects.filter(email=person.email).exists() else password
        run(
            c.AddMember(email=person.email, role=person.role, name=person.name, password=first),
            system_caller(tenant, BY),
        )
        seeded.made.append(f"person {person.username}")
    if person.user_id is None:
        return
    with tenant_scope(tenant.id):
        linked = PrincipalLink.objects.filter(principal__kind="uid", principal__subject=person.user_id).exists()
    if not linked:
        run(c.LinkPrincipal(email=person.email, user_id=person.user_id), system_caller(tenant, BY))


def _platform_admin(person: Person, password: Secret, seeded: Seeded) -> None:
    if User.objects.filter(email=person.email).exists():
        return
    user = User.objects.create_user(person.email, checked_password(password), name=person.name, is_platform_admin=True)
    operators.record(
        action="member.add",
        reason="platform_admin",
        request_id=new_request_id(),
        source_ip=None,
        details={"account": str(user.id)},
    )
    seeded.made.append(f"person {person.username}")


def _agent(tenant: Tenant, name: str, seeded: Seeded) -> None:
    with tenant_scope(tenant.id):
        there = Agent.objects.filter(name=name).exists()
    if not there:
        run(c.CreateAgent(name=name), system_caller(tenant, BY))
        seeded.made.append(f"agent {name}")


def _read(file: Path) -> dict[str, dict[str, Any]]:
    try:
        content: dict[str, dict[str, Any]] = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return content


def _write(file: Path, content: dict[str, dict[str, Any]]) -> None:
    """Replace the file, whole or not at all, readable by its owner only."""
    draft = file.with_name(f".{file.name}.{secrets.token_hex(6)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            json.dump(content, stream, indent=2)
            stream.write("\n")
        draft.replace(file)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
