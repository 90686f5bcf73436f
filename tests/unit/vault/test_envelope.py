"""T076-T078: a sealed secret opens at its own address, under its own key, unchanged, or not at all."""

from __future__ import annotations

import copy
import os
import pickle
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from hypothesis import given
from hypothesis import strategies as st

from apps.core.errors import Code, SealBroken, Unavailable
from apps.core.secret import Secret
from apps.vault.sealing.address import Address
from apps.vault.sealing.envelope import OVERHEAD, key_of, open_sealed, rewrap, seal
from apps.vault.sealing.kek import Kek

AT = Address(uuid4(), "connections_connection", uuid4(), "refresh_token", 3, "connection.refresh_token")
KEK = Kek(uuid4(), 1, os.urandom(32))
TEXT = "rt-canary-0123456789"


def only(*keks: Kek) -> Callable[[UUID, int], Kek]:
    return lambda key_id, version: {(kek.key_id, kek.version): kek for kek in keks}[(key_id, version)]


def opened(blob: bytes, at: Address = AT, *keks: Kek) -> str:
    return open_sealed(blob, keks=only(*(keks or (KEK,))), at=at).reveal()


def assert_broken(blob: bytes, at: Address = AT, *keks: Kek) -> None:
    with pytest.raises(SealBroken) as caught:
        opened(blob, at, *keks)
    assert (caught.value.code, caught.value.reason) == (Code.SEAL_BROKEN, "vault_integrity")
    assert caught.value.public == "The stored credential cannot be opened."
    assert caught.value.__cause__ is None
    assert TEXT not in repr(caught.value) + caught.value.private


@pytest.fixture
def blob() -> bytes:
    sealed = seal(Secret(TEXT), kek=KEK, at=AT)
    assert opened(sealed) == TEXT
    return sealed


@given(st.text())
def test_any_text_comes_back(text: str) -> None:
    sealed = seal(Secret(text), kek=KEK, at=AT)
    assert opened(sealed) == text
    assert opened(memoryview(sealed)) == text  # type: ignore[arg-type]
    assert len(sealed) == len(text.encode()) + OVERHEAD


def test_bytes_are_taken_if_they_are_text() -> None:
    assert opened(seal("zoë".encode(), kek=KEK, at=AT)) == "zoë"
    with pytest.raises(ValueError, match="utf-8"):
        seal(b"\xff", kek=KEK, at=AT)


def test_the_record_names_its_key_and_nothing_readable(blob: bytes) -> None:
    assert key_of(blob) == (KEK.key_id, KEK.version)
    assert TEXT.encode() not in blob
    assert blob[:2] == b"\x01\x01"
    assert OVERHEAD == 1 + 1 + 16 + 4 + 60 + 12 + 16 + 16


@pytest.mark.case("T076")
@pytest.mark.parametrize("member", ["tenant_id", "table", "row_id", "column", "secret_version", "purpose"])
def test_T076_a_moved_secret_does_not_open(blob: bytes, member: str) -> None:
    changes: dict[str, Any] = {"tenant_id": uuid4(), "row_id": uuid4(), "secret_version": 4}
    assert_broken(blob, replace(AT, **{member: changes.get(member, "access_token")}))
    assert opened(blob) == TEXT


@pytest.mark.case("T076")
def test_T076_halves_of_two_records_do_not_open_together(blob: bytes) -> None:
    other = seal(Secret("other"), kek=KEK, at=AT)
    assert_broken(blob[:82] + other[82:])
    assert_broken(blob[:-16] + other[-16:])


@pytest.mark.case("T077")
def test_T077_every_single_changed_bit_is_noticed(blob: bytes) -> None:
    for position in range(len(blob)):
        for bit in (1, 128):
            changed = bytearray(blob)
            changed[position] ^= bit
            assert_broken(bytes(changed))
    assert opened(blob) == TEXT


@pytest.mark.case("T077")
def test_T077_every_truncation_and_extension_is_noticed(blob: bytes) -> None:
    for length in range(len(blob)):
        assert_broken(blob[:length])
    assert_broken(blob + b"\0")
    assert_broken(b"\0" + blob)
    assert_broken(os.urandom(len(blob)))


@pytest.mark.case("T077")
@pytest.mark.parametrize("header", [b"\x00\x01", b"\x02\x01", b"\xff\x01", b"\x01\x00", b"\x01\x02"])
def test_T077_an_unknown_or_older_format_is_refused(blob: bytes, header: bytes) -> None:
    assert_broken(header + blob[2:])


@pytest.mark.case("T077")
def test_T077_the_wrong_missing_or_mistaken_key(blob: bytes) -> None:
    assert_broken(blob, AT, Kek(KEK.key_id, KEK.version, os.urandom(32)))
    assert_broken(blob, AT, Kek(uuid4(), 1, os.urandom(32)))  # nothing by that name
    material = os.urandom(32)
    sealed = seal(Secret(TEXT), kek=Kek(KEK.key_id, 1, material), at=AT)
    for mistaken in (Kek(KEK.key_id, 2, material), Kek(uuid4(), 1, material)):
        with pytest.raises(SealBroken):
            open_sealed(sealed, keks=lambda _id, _version, kek=mistaken: kek, at=AT)  # type: ignore[misc]
    assert opened(blob) == TEXT


def test_a_key_service_that_is_down_is_not_called_tampering(blob: bytes) -> None:
    def down(key_id: UUID, version: int) -> Kek:
        raise Unavailable("The key service does not answer.", reason="kms_unavailable")

    with pytest.raises(Unavailable):
        open_sealed(blob, keks=down, at=AT)


@pytest.mark.case("T078")
def test_T078_no_data_key_and_no_nonce_comes_twice() -> None:
    """The commitment is a function of the data key, so distinct commitments mean distinct data keys."""
    count = 200_000
    fields = {"data key": slice(-16, None), "nonce": slice(82, 94), "nonce of the wrapping": slice(22, 34)}
    seen: dict[str, set[bytes]] = {name: set() for name in fields}
    for _ in range(count):
        blob = seal(b"x", kek=KEK, at=AT)
        for name, place in fields.items():
            seen[name].add(blob[place])
    assert {name: len(values) for name, values in seen.items()} == dict.fromkeys(fields, count)


def test_the_commitment_is_hkdf_of_the_data_key(blob: bytes) -> None:
    """Checked against cryptography's HKDF; the data key is got by hand, as a second reader of the format."""
    from apps.vault.sealing.address import data_key_aad, payload_aad

    material = os.urandom(32)
    kek = Kek(uuid4(), 7, material)
    sealed = seal(Secret(TEXT), kek=kek, at=AT)
    aad = data_key_aad(b"\x01\x01", kek.key_id, 7, AT.encode())
    dek = AESGCM(material).decrypt(sealed[22:34], sealed[34:82], aad)
    assert sealed[-16:] == HKDFExpand(hashes.SHA256(), 16, b"identity-portal/seal/commit").derive(dek)
    assert AESGCM(dek).decrypt(sealed[82:94], sealed[94:-16], payload_aad(b"\x01\x01", AT.encode())) == TEXT.encode()


def test_rewrapping_changes_the_key_and_leaves_the_payload(blob: bytes) -> None:
    new = Kek(uuid4(), 2, os.urandom(32))
    moved = rewrap(blob, old=KEK, new=new, at=AT)
    assert key_of(moved) == (new.key_id, 2)
    assert moved[82:] == blob[82:]
    assert opened(moved, AT, new) == TEXT
    assert_broken(moved, AT, KEK)
    assert_broken(moved, replace(AT, row_id=uuid4()), new)
    assert opened(blob) == TEXT


def test_rewrapping_refuses_what_does_not_open(blob: bytes) -> None:
    new = Kek(uuid4(), 2, os.urandom(32))
    wrong_commitment = blob[:-1] + bytes([blob[-1] ^ 1])
    for damaged, old, at in (
        (wrong_commitment, KEK, AT),
        (blob[:40] + b"\0" + blob[41:], KEK, AT),
        (blob, new, AT),
        (blob, Kek(KEK.key_id, KEK.version, os.urandom(32)), AT),
        (blob, KEK, replace(AT, tenant_id=uuid4())),
        (b"", KEK, AT),
    ):
        with pytest.raises(SealBroken):
            rewrap(damaged, old=old, new=new, at=at)


def test_a_key_cannot_be_read_copied_or_pickled() -> None:
    material = b"\x11\x22\x33\x44" * 8
    kek = Kek(uuid4(), 1, material)
    shown = repr(kek) + str(kek) + f"{kek}"
    assert str(kek.key_id) in shown
    assert material.hex() not in shown
    assert not any(getattr(kek, name, None) == material for name in dir(kek))
    for attempt in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError):
            attempt(kek)


@pytest.mark.parametrize(("version", "size"), [(1, 0), (1, 16), (1, 31), (1, 33), (-1, 32), (2**32, 32)])
def test_a_key_has_32_bytes_and_a_version_that_fits(version: int, size: int) -> None:
    with pytest.raises(ValueError, match="key"):
        Kek(uuid4(), version, b"k" * size)
