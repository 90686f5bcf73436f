"""People of a tenant: their roles, and which principal they are."""

from __future__ import annotations

from django.contrib.auth.hashers import make_password
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, transaction

from apps.authn.api_scopes import actions_of
from apps.authn.caller import CallerKind
from apps.broker import contracts as c
from apps.broker.run import handles
from apps.broker.work import Work
from apps.connections import principals
from apps.connections.models import PrincipalLink
from apps.core import names
from apps.core.errors import Conflict, Invalid, NotAllowed, NotFound
from apps.core.secret import Secret
from apps.policy import facts
from apps.policy.permissions import ROLE_ACTIONS
from apps.tenants.models import Membership, Tenant, User


def checked_email(text: str) -> str:
    email = text.strip().lower()
    try:
        validate_email(email)
    except ValidationError as bad:
        raise Invalid.field("email", "This is not an e-mail address.", reason="email_invalid") from bad
    return email


def checked_password(password: Secret | None, user: User | None = None) -> str | None:
    if password is None:
        return None
    try:
        validate_password(password.reveal(), user)
    except ValidationError as weak:
        raise Invalid.field("password", " ".join(weak.messages), reason="password_weak") from weak
    return password.reveal()


def _locked_members(work: Work) -> list[Membership]:
    """Locked, so that two owners cannot remove each other at the same moment."""
    return list(Membership.objects.select_for_update().filter(tenant_id=work.caller.tenant_id).order_by("id"))


def _require_not_above(role: str, work: Work) -> None:
    """Nobody gives, changes or takes a role above their own. Raises NotAllowed."""
    caller = work.caller
    if caller.scopes is not None and not ROLE_ACTIONS[role] <= actions_of(caller.scopes):
        raise NotAllowed("This role may do more than the token's scopes.", reason="grant_above_own")
    if caller.kind is not CallerKind.PERSON or caller.row_id is None:
        return
    own = facts.role_of(caller.row_id, caller.tenant_id) or ""
    if not ROLE_ACTIONS[role] <= ROLE_ACTIONS.get(own, frozenset()):
        raise NotAllowed("This role is above your own.", reason="grant_above_own")


def _keep_an_owner(members: list[Membership], leaving: Membership) -> None:
    """Raises Conflict when the tenant would be left without an owner."""
    owners = [member for member in members if member.role == Membership.Role.TENANT_OWNER]
    if owners == [leaving]:
        raise Conflict("The last owner stays. Make somebody else an owner first.", reason="last_owner")


@handles(c.AddMember)
def add(command: c.AddMember, work: Work) -> User:
    """A password is for a new account only; nobody sets that of an existing one.

    A tenant's people are not told which it is: an account may belong to another tenant, and a different answer would
    say so. Operators, who see all accounts, are refused (Conflict `user_exists`), so that none of them believes
    that the password was taken.
    """
    if command.role not in Membership.Role.values:
        raise Invalid.field("role", f"Roles are {', '.join(Membership.Role.values)}.", reason="role_unknown")
    email = checked_email(command.email)
    # Judged and hashed whether or not there is an account: neither the answer nor its time may tell which.
    hashed = make_password(checked_password(command.password))
    with work.change():
        work.require(names.DIRECTORY)
        members = _locked_members(work)
        _require_not_above(command.role, work)
        user: User | None = User.objects.filter(email=email).first()
        if user is None:
            user = User.objects.create(email=email, name=command.name, password=hashed)
        elif command.password is not None and work.caller.kind is CallerKind.SYSTEM:
            raise Conflict(
                "There is an account with this e-mail address already, and its password is its owner's to change. "
                "Leave the password out to give this account the role.",
                reason="user_exists",
            )
        held = next((row for row in members if row.user_id == user.id), None)
        if held is not None and held.role != command.role:
            _require_not_above(held.role, work)
            _keep_an_owner(members, held)
            work.note(role_before=held.role)
        Membership.objects.update_or_create(tenant_id=work.caller.tenant_id, user=user, defaults={"role": command.role})
        work.note(account=str(user.id), role=command.role)
        return user


@handles(c.RemoveMember)
def remove(command: c.RemoveMember, work: Work) -> None:
    with work.change():
        work.require(names.DIRECTORY)
        members = _locked_members(work)
        row = next((member for member in members if member.user_id == command.user_id), None)
        if row is None:
            raise NotFound("This person is not a member.", reason="member_not_found")
        _require_not_above(row.role, work)
        _keep_an_owner(members, row)
        work.note(account=str(row.user_id), role=row.role)
        row.delete()


@handles(c.LinkPrincipal)
def link(command: c.LinkPrincipal, work: Work) -> None:
    by_token = command.issuer is not None and command.subject is not None
    if (command.user_id is None) == (not by_token):
        raise Invalid.field("user_id", "Give a user id, or an issuer and a subject.", reason="identifier")
    with work.change():
        work.require(names.DIRECTORY)
        user = User.objects.filter(
            email=checked_email(command.email), memberships__tenant_id=work.caller.tenant_id
        ).first()
        if user is None:
            raise NotFound("There is no such person in this tenant.", reason="member_not_found")
        key = Tenant.objects.get(id=work.caller.tenant_id).pseudonym_key
        if by_token:
            principal = principals.find_or_create(
                kind="jwt", issuer=command.issuer or "", subject=command.subject or "", pseudonym_key=key
            )
        else:
            subject = principals.checked_user_id(command.user_id or "")
            principal = principals.find_or_create(kind="uid", issuer="", subject=subject, pseudonym_key=key)
        work.note(principal=principal, account=str(user.id))
        try:
            with transaction.atomic():
                PrincipalLink.objects.create(principal=principal, user=user)
        except IntegrityError as taken:
            existing = PrincipalLink.objects.get(principal=principal)
            if existing.user_id != user.id:
                raise Conflict("Another account is linked to this identity already.", reason="link_taken") from taken
