"""Passwords of the people of Demo Hub, as salted scrypt digests."""

from __future__ import annotations

import hashlib
import hmac
import secrets

from .model import Person

# About 10 ms: enough for random passwords, little enough for four of them at every start.
_COST = {"n": 2**12, "r": 8, "p": 1}


def random_password() -> str:
    """A password with 120 bits of randomness."""
    return secrets.token_urlsafe(15)


def set_password(person: Person, password: str) -> None:
    """Store a new password."""
    person.password_salt = secrets.token_hex(16)
    person.password_digest = _scrypt(password, person.password_salt)


def is_password(person: Person | None, password: str) -> bool:
    """Whether this is the person's password. An unknown person costs as much time as a known one."""
    if person is None or not person.password_digest:
        _scrypt(password, "00" * 16)
        return False
    return hmac.compare_digest(_scrypt(password, person.password_salt), person.password_digest)


def _scrypt(password: str, salt: str) -> str:
    return hashlib.scrypt(password.encode("utf-8", "surrogatepass"), salt=bytes.fromhex(salt), **_COST).hex()
