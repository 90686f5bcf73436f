"""A model field for secrets of the operator: mail password, single sign-on client secrets, webhook secrets.

Not for tenants' credentials: a field never sees its row, so it cannot tie a value to an owner. Those go to the vault.

The field machinery (bytes column, `isnull` as the only lookup, checks) is django-cryptography's. Its serialisation
and cipher are replaced: it pickles, so whoever forges a value runs code on read, and it signs with SECRET_KEY, so
rotating that loses every value. Here: JSON inside Fernet tokens, keys of their own, several of them.

Keys: Django setting OPERATOR_FERNET_KEYS, a list of `Fernet.generate_key()` texts. The first encrypts, all decrypt.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NoReturn

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.db import models
from django.db.models.query_utils import DeferredAttribute
from django_cryptography.fields import EncryptedMixin

from apps.core.errors import SealBroken
from apps.core.secret import Secret


class _AlwaysSecret(DeferredAttribute):
    """Turns what is assigned into a Secret at once, so that no model instance ever carries clear text."""

    def __set__(self, instance: models.Model, value: object) -> None:
        instance.__dict__[self.field.attname] = self.field.to_python(value)


class OperatorSecretField(EncryptedMixin, models.TextField):  # type: ignore[type-arg]
    """Holds a Secret; takes a Secret or text; the column holds only ciphertext.

    `purpose` is encrypted along with the value and compared on read: a value copied to a column of another
    purpose does not open there. It is part of the migration; changing it makes stored values unreadable.
    """

    descriptor_class = _AlwaysSecret
    # What EncryptedMixin's own factory would set.
    base_class = models.TextField
    wasinstance = True

    def __init__(self, *args: Any, purpose: str = "", **kwargs: Any) -> None:
        for refused in ("key", "ttl"):
            if refused in kwargs:
                raise TypeError(f"OperatorSecretField takes no {refused!r}: keys come from OPERATOR_FERNET_KEYS")
        self.purpose = purpose
        super().__init__(*args, **kwargs)
        del self._fernet  # the library's cipher, tied to SECRET_KEY: absent, so that nothing can reach it

    # --- storing and reading

    def _dump(self, value: Any) -> bytes:
        secret = self.to_python(value)
        if secret is None:
            raise TypeError("there is nothing to encrypt")
        content = json.dumps({"purpose": self.purpose, "value": secret.reveal()}).encode()
        return _cipher().encrypt(content)

    def _load(self, value: bytes) -> Secret:
        try:
            content = json.loads(_cipher().decrypt(value))
        except (InvalidToken, ValueError):
            raise _broken("no key of OPERATOR_FERNET_KEYS opens it") from None
        if not isinstance(content, dict) or content.get("purpose") != self.purpose:
            raise _broken("it was stored for another purpose")
        text = content.get("value")
        if not isinstance(text, str):
            raise _broken("it holds no text")
        return Secret(text)

    def to_python(self, value: Any) -> Secret | None:
        """None, a Secret or text. Anything else is a programming error: TextField would store its str()."""
        if value is None or isinstance(value, Secret):
            return value
        if isinstance(value, str):
            return Secret(value)
        raise TypeError(f"an operator secret is a Secret or text, not {type(value).__name__}")

    # --- nothing shows it

    def value_to_string(self, obj: models.Model) -> NoReturn:
        raise TypeError(f"{self.name} is a secret; it is not serialised")

    def formfield(self, *args: Any, **kwargs: Any) -> None:
        """No form field of its own: a form that sets it declares a write-only field, one that shows it is a leak."""
        return

    # --- migrations name this class, not the library's wrapper

    def deconstruct(self) -> tuple[str, str, Sequence[Any], dict[str, Any]]:
        name, path, args, kwargs = models.TextField.deconstruct(self)
        if self.purpose:
            kwargs["purpose"] = self.purpose
        return name, path, args, kwargs

    def clone(self) -> OperatorSecretField:
        _, _, args, kwargs = self.deconstruct()
        return type(self)(*args, **kwargs)

    def check(self, **kwargs: Any) -> list[checks.CheckMessage]:
        problems: list[checks.CheckMessage] = list(super().check(**kwargs))
        try:
            _cipher()
        except ImproperlyConfigured as problem:
            problems.append(checks.Error(str(problem), obj=self, id="operator_secret.E001"))
        return problems


def _cipher() -> MultiFernet:
    """The cipher of today's settings. Raises ImproperlyConfigured when the keys are absent or malformed."""
    keys = getattr(settings, "OPERATOR_FERNET_KEYS", None)
    if not keys or isinstance(keys, str | bytes):
        raise ImproperlyConfigured("OPERATOR_FERNET_KEYS is a list of at least one Fernet key.")
    return _build(tuple(keys))


@lru_cache(maxsize=4)
def _build(keys: tuple[str | bytes, ...]) -> MultiFernet:
    try:
        return MultiFernet([Fernet(key) for key in keys])
    except (ValueError, TypeError):
        raise ImproperlyConfigured("A key of OPERATOR_FERNET_KEYS is not 32 bytes of URL-safe base64.") from None


def _broken(private: str) -> SealBroken:
    return SealBroken("The stored credential cannot be opened.", reason="operator_secret_integrity", private=private)
