"""Principals: finding or making the one row for a proven, named or own identity."""

from __future__ import annotations

import hashlib
import hmac
import unicodedata
from uuid import UUID

from django.db import IntegrityError, transaction

from apps.connections.models import Principal
from apps.core.errors import Invalid
from apps.core.secret import Secret

_FORBIDDEN_CATEGORIES = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
_MAX = 128


def pseudonym(key: Secret, *, kind: str, issuer: str, subject: str) -> str:
    """The name a principal carries in audit records: keyed per tenant, so it links nothing across tenants."""
    text = "\0".join((kind, issuer, subject)).encode()
    return "p_" + hmac.new(key.reveal().encode(), text, hashlib.sha256).hexdigest()[:40]


def checked_user_id(user_id: str) -> str:
    """A user id as it will be stored: NFC, compared exactly ever after.

    Raises Invalid (`user_id_invalid`) for control, format and direction characters, outer blanks, path tricks
    and anything over 128 characters.
    """
    text = unicodedata.normalize("NFC", user_id)
    bad = (
        not text
        or len(text) > _MAX
        or text != text.strip()
        or any(unicodedata.category(c) in _FORBIDDEN_CATEGORIES for c in text)
        or ".." in text.split("/")
    )
    if bad:
        raise Invalid.field(
            "user_id",
            "A user id is 1 to 128 printable characters without leading or trailing blanks.",
            reason="user_id_invalid",
        )
    return text


def find(*, kind: str, issuer: str, subject: str) -> Principal | None:
    row: Principal | None = Principal.objects.filter(kind=kind, issuer=issuer, subject=subject).first()
    return row


def find_or_create(*, kind: str, issuer: str, subject: str, pseudonym_key: Secret) -> Principal:
    found = find(kind=kind, issuer=issuer, subject=subject)
    if found is not None:
        return found
    try:
        with transaction.atomic():
            made: Principal = Principal.objects.create(
                kind=kind,
                issuer=issuer,
                subject=subject,
                pseudonym=pseudonym(pseudonym_key, kind=kind, issuer=issuer, subject=subject),
            )
            return made
    except IntegrityError:  # made by somebody else a moment ago
        theirs: Principal = Principal.objects.get(kind=kind, issuer=issuer, subject=subject)
        return theirs


def own(agent_id: UUID, pseudonym_key: Secret) -> Principal:
    """The agent as its own principal."""
    return find_or_create(kind="self", issuer="", subject=str(agent_id), pseudonym_key=pseudonym_key)
