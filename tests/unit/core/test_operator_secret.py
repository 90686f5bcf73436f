"""Secrets of the operator in a model field: encrypted with their own keys, never pickled, never shown."""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterator
from typing import Any, cast

import pytest
from cryptography.fernet import Fernet
from django.core import serializers
from django.core.exceptions import FieldError, ImproperlyConfigured
from django.db import models
from django.db.migrations.writer import MigrationWriter
from django.forms import modelform_factory
from django.test.utils import isolate_apps, override_settings

from apps.core.errors import SealBroken
from apps.core.operator_secret import OperatorSecretField
from apps.core.secret import Secret

TEXT = "smtp-canary-51d0"
OLD, NEW = Fernet.generate_key().decode(), Fernet.generate_key().decode()


def keys(*names: str) -> Any:
    return override_settings(OPERATOR_FERNET_KEYS=list(names))


@pytest.fixture
def field() -> OperatorSecretField:
    return OperatorSecretField(purpose="mail.password")


@pytest.fixture
def mailbox() -> Iterator[type[models.Model]]:
    with isolate_apps():

        class Mailbox(models.Model):
            host: Any = models.CharField(max_length=50)
            password: Any = OperatorSecretField(purpose="mail.password", null=True)

            class Meta:
                app_label = "unit_tests"

        yield Mailbox


@pytest.mark.parametrize("value", [TEXT, "", "zoë 🔑", 'a"b\\'])
def test_text_and_secrets_go_in_and_a_secret_comes_out(field: OperatorSecretField, value: str) -> None:
    for given in (value, Secret(value)):
        stored = field._dump(given)
        assert value == "" or value.encode() not in stored
        read = field._load(stored)
        assert isinstance(read, Secret)
        assert read.reveal() == value


def test_what_is_stored_is_a_fernet_token_of_json(field: OperatorSecretField) -> None:
    with keys(OLD):
        content = Fernet(OLD).decrypt(field._dump(TEXT))
    assert json.loads(content) == {"purpose": "mail.password", "value": TEXT}


def test_the_first_key_encrypts_and_all_of_them_decrypt(field: OperatorSecretField) -> None:
    with keys(OLD):
        stored = field._dump(TEXT)
    with keys(NEW, OLD):
        assert field._load(stored).reveal() == TEXT
        newer = field._dump(TEXT)
    with keys(NEW):
        assert field._load(newer).reveal() == TEXT
        with pytest.raises(SealBroken) as caught:
            field._load(stored)
    assert caught.value.reason == "operator_secret_integrity"
    assert TEXT not in repr(caught.value) + caught.value.private


def test_the_secret_key_of_django_has_no_part_in_it(field: OperatorSecretField) -> None:
    with keys(OLD):
        stored = field._dump(TEXT)
        with override_settings(SECRET_KEY="another"):
            assert field._load(stored).reveal() == TEXT


def test_a_pickle_is_never_loaded(field: OperatorSecretField) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[Any, ...]:
            return (pytest.fail, ("a pickle was executed",))

    with keys(OLD):
        for forged in (Fernet(OLD).encrypt(pickle.dumps(Bomb())), pickle.dumps(Bomb())):
            with pytest.raises(SealBroken):
                field._load(forged)


@pytest.mark.parametrize(
    "content",
    [b"", b"null", b"[]", b'"text"', b'{"purpose":"mail.password"}', b'{"purpose":"mail.password","value":1}'],
)
def test_other_content_under_the_right_key_is_refused(field: OperatorSecretField, content: bytes) -> None:
    with keys(OLD), pytest.raises(SealBroken):
        field._load(Fernet(OLD).encrypt(content))


def test_every_changed_byte_is_noticed(field: OperatorSecretField) -> None:
    stored = field._dump(TEXT)
    for position in range(0, len(stored), 7):
        changed = bytearray(stored)
        changed[position] ^= 1
        with pytest.raises(SealBroken):
            field._load(bytes(changed))


def test_a_value_copied_to_another_purpose_does_not_open(field: OperatorSecretField) -> None:
    stored = field._dump(TEXT)
    for purpose in ("", "sso.client_secret"):
        with pytest.raises(SealBroken):
            OperatorSecretField(purpose=purpose)._load(stored)


def test_only_text_is_taken(field: OperatorSecretField) -> None:
    assert field.to_python(None) is None
    for wrong in (1, b"bytes", ["x"], object()):
        with pytest.raises(TypeError):
            field.to_python(wrong)
        with pytest.raises(TypeError):
            field._dump(wrong)
    with pytest.raises(TypeError):
        field._dump(None)


def test_the_librarys_own_cipher_and_options_are_out_of_reach(field: OperatorSecretField) -> None:
    assert not hasattr(field, "_fernet")
    for option in ("key", "ttl"):
        with pytest.raises(TypeError):
            OperatorSecretField(**cast(Any, {option: None}))


@pytest.mark.parametrize("setting", [None, [], (), "one key as text", ["short"], [OLD, "not base64!"], [7]])
def test_missing_or_malformed_keys_are_named_by_the_system_check(setting: Any, mailbox: type[models.Model]) -> None:
    field: Any = mailbox._meta.get_field("password")
    assert field.check() == []
    with override_settings(OPERATOR_FERNET_KEYS=setting):
        assert [problem.id for problem in field.check()] == ["operator_secret.E001"]
        with pytest.raises(ImproperlyConfigured) as caught:
            field._dump(TEXT)
        assert OLD not in str(caught.value)


def test_migrations_name_this_field(field: OperatorSecretField) -> None:
    field.set_attributes_from_name("password")
    name, path, args, kwargs = field.deconstruct()
    assert (name, path, list(args)) == ("password", "apps.core.operator_secret.OperatorSecretField", [])
    assert kwargs == {"purpose": "mail.password"}
    assert OperatorSecretField(null=True).deconstruct()[3] == {"null": True}
    written, imports = MigrationWriter.serialize(field)
    assert written == "apps.core.operator_secret.OperatorSecretField(purpose='mail.password')"
    assert imports == {"import apps.core.operator_secret"}
    copy = field.clone()
    assert type(copy) is OperatorSecretField
    assert copy.purpose == "mail.password"


def test_the_column_is_bytes(field: OperatorSecretField) -> None:
    assert field.get_internal_type() == "BinaryField"


def test_a_model_holds_a_secret_from_the_moment_of_assignment(mailbox: type[models.Model]) -> None:
    box = mailbox(host="mail", password=TEXT)
    assert isinstance(box.password, Secret)  # type: ignore[attr-defined]
    box.password = "other"  # type: ignore[attr-defined]
    assert box.password.reveal() == "other"  # type: ignore[attr-defined]
    assert "other" not in repr(box.__dict__)
    box.password = None  # type: ignore[attr-defined]
    assert box.password is None  # type: ignore[attr-defined]
    with pytest.raises(TypeError):
        box.password = models.F("host")  # type: ignore[attr-defined]


def test_what_goes_to_the_driver_is_ciphertext_and_comes_back(mailbox: type[models.Model]) -> None:
    class Driver:
        Binary = bytes

    class Connection:
        Database = Driver

    field: Any = mailbox._meta.get_field("password")
    sent = field.get_db_prep_save(Secret(TEXT), Connection())
    assert isinstance(sent, bytes)
    assert TEXT.encode() not in sent
    assert field.from_db_value(memoryview(sent), None, None).reveal() == TEXT
    assert field.from_db_value(None, None, None) is None
    assert field.get_db_prep_save(None, Connection()) is None


def test_it_is_looked_up_by_presence_only(mailbox: type[models.Model]) -> None:
    field = mailbox._meta.get_field("password")
    assert field.get_lookup("isnull") is not None
    for lookup in ("exact", "in", "contains", "startswith", "gt", "regex"):
        assert field.get_lookup(lookup) is None
    with pytest.raises(FieldError):
        mailbox._default_manager.filter(password=TEXT)


def test_forms_and_serializers_do_not_show_it(mailbox: type[models.Model]) -> None:
    box = mailbox(pk=1, host="mail", password=TEXT)
    form = modelform_factory(mailbox, fields=["host", "password"])(instance=box)
    assert list(form.fields) == ["host"]
    assert TEXT not in form.as_p() + str(form.initial)
    for format_name in ("json", "python", "xml"):
        with pytest.raises(TypeError, match="secret"):
            serializers.serialize(format_name, [box])
    with pytest.raises(TypeError):
        pickle.dumps(box.__dict__)
