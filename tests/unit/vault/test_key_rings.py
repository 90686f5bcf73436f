"""T082 and the outermost layer: root keys from a file, tenant keys under them, and the canary that matches both."""

from __future__ import annotations

import base64
import os
import stat
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from apps.core.errors import SealBroken
from apps.core.secret import Secret
from apps.vault.keyrings.base import KeyRing, KeyRingProblem
from apps.vault.keyrings.canary import check_canary, make_canary
from apps.vault.keyrings.local_file import LocalFileKeyRing, create_key_file
from apps.vault.sealing.address import Address
from apps.vault.sealing.envelope import open_sealed, seal
from apps.vault.sealing.kek import Kek, rewrap_kek, unwrap_kek, wrap_kek


def write(path: Path, *lines: bytes, mode: int = 0o600) -> Path:
    path.write_bytes(b"\n".join(lines) + b"\n")
    path.chmod(mode)
    return path


def new_key() -> bytes:
    return base64.b64encode(os.urandom(32))


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "root.key"
    create_key_file(path)
    return path


@pytest.fixture
def ring(key_file: Path) -> KeyRing:
    return LocalFileKeyRing(key_file)


def test_a_made_key_file_is_private_and_works(key_file: Path, ring: KeyRing) -> None:
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
    assert ring.unwrap(ring.wrap(b"secret", {"a": "b"}), {"a": "b"}) == b"secret"
    assert len(ring.key_id) <= 200
    key = key_file.read_text().splitlines()[-1]
    material = base64.b64decode(key)
    for shown in (ring.describe(), ring.key_id, repr(ring)):
        assert key not in shown
        assert material.hex()[:16] not in shown


@pytest.mark.case("T082")
def test_T082_a_key_file_is_never_overwritten_or_made_by_reading(key_file: Path, tmp_path: Path) -> None:
    before = key_file.read_bytes()
    with pytest.raises(KeyRingProblem, match="never overwritten"):
        create_key_file(key_file)
    assert key_file.read_bytes() == before
    dangling = tmp_path / "link"
    dangling.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(KeyRingProblem):
        create_key_file(dangling)
    with pytest.raises(KeyRingProblem, match="cannot be made"):
        create_key_file(tmp_path / "no such folder" / "root.key")
    with pytest.raises(KeyRingProblem, match="missing"):
        LocalFileKeyRing(tmp_path / "absent")
    assert not (tmp_path / "absent").exists()
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.case("T082")
@pytest.mark.parametrize(
    ("material", "says"),
    [
        (b"", "empty"),
        (os.urandom(16), "16 bytes"),
        (os.urandom(31), "31 bytes"),
        (os.urandom(33), "33 bytes"),
        (os.urandom(64), "64 bytes"),
        (b"\0" * 32, "not random"),
        (b"\xff" * 32, "not random"),
        (b"\x01\x02" * 16, "not random"),
        (b"changeme" * 4, "not random"),
        (bytes(range(32)), "not random"),
        (bytes(range(100, 164, 2)), "not random"),
        (b"0123456789abcdef0123456789ABCDEF", "not random"),
        (b"correct horse battery staple 42!", "not random"),
    ],
)
def test_T082_a_key_that_is_missing_short_long_or_made_up_is_refused(
    tmp_path: Path, material: bytes, says: str
) -> None:
    with pytest.raises(KeyRingProblem, match=says) as caught:
        LocalFileKeyRing(write(tmp_path / "root.key", base64.b64encode(material)))
    if material:
        assert base64.b64encode(material).decode() not in str(caught.value)


@pytest.mark.case("T082")
@pytest.mark.parametrize("content", [b"", b"\n\n", b"# only a note", b"not base64!", b"\x00\xff", b"x" * 100_000])
def test_T082_a_file_that_is_no_key_file_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(KeyRingProblem):
        LocalFileKeyRing(write(tmp_path / "root.key", content))


@pytest.mark.case("T082")
@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660, 0o620, 0o602, 0o601, 0o610, 0o777])
def test_T082_a_key_file_that_others_can_use_is_refused(key_file: Path, mode: int) -> None:
    key_file.chmod(mode)
    with pytest.raises(KeyRingProblem, match="chmod 600"):
        LocalFileKeyRing(key_file)
    key_file.chmod(0o400)
    assert LocalFileKeyRing(key_file).key_id


def test_what_is_not_a_file_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    for path in (tmp_path / "pipe", tmp_path):
        with pytest.raises(KeyRingProblem):
            LocalFileKeyRing(path)


def test_a_random_key_is_hardly_ever_called_made_up(tmp_path: Path) -> None:
    for _ in range(500):
        LocalFileKeyRing(write(tmp_path / "root.key", new_key()))


def test_the_first_key_wraps_and_older_ones_still_unwrap(tmp_path: Path) -> None:
    old, new = new_key(), new_key()
    before = LocalFileKeyRing(write(tmp_path / "root.key", old))
    wrapped = before.wrap(b"secret", {"a": "b"})
    both = LocalFileKeyRing(write(tmp_path / "root.key", b"# new first", new, b"", old))
    assert both.key_id != before.key_id
    assert both.unwrap(wrapped, {"a": "b"}) == b"secret"
    rewrapped = both.wrap(both.unwrap(wrapped, {"a": "b"}), {"a": "b"})
    after = LocalFileKeyRing(write(tmp_path / "root.key", new))
    assert after.unwrap(rewrapped, {"a": "b"}) == b"secret"
    with pytest.raises(SealBroken):
        after.unwrap(wrapped, {"a": "b"})
    with pytest.raises(KeyRingProblem, match="twice"):
        LocalFileKeyRing(write(tmp_path / "root.key", new, new))


@pytest.mark.parametrize("context", [{}, {"a": "c"}, {"a": "b", "c": ""}, {"ab": ""}, {"": "ab"}, {"A": "b"}])
def test_what_was_wrapped_for_one_context_opens_in_no_other(ring: KeyRing, context: dict[str, str]) -> None:
    wrapped = ring.wrap(b"secret", {"a": "b"})
    with pytest.raises(SealBroken):
        ring.unwrap(wrapped, context)


def test_every_changed_byte_of_a_wrapped_key_is_noticed(ring: KeyRing) -> None:
    wrapped = ring.wrap(b"secret", {"a": "b"})
    for position in range(len(wrapped)):
        changed = bytearray(wrapped)
        changed[position] ^= 1
        with pytest.raises(SealBroken):
            ring.unwrap(bytes(changed), {"a": "b"})
        with pytest.raises(SealBroken):
            ring.unwrap(wrapped[:position], {"a": "b"})


@pytest.mark.case("T076")
def test_T076_a_tenant_key_opens_only_for_its_tenant_id_and_version(ring: KeyRing, tmp_path: Path) -> None:
    tenant, key_id, material = uuid4(), uuid4(), os.urandom(32)
    wrapped = wrap_kek(material, ring=ring, tenant_id=tenant, key_id=key_id, version=1)
    assert material not in wrapped
    kek = unwrap_kek(wrapped, ring=ring, tenant_id=tenant, key_id=key_id, version=1)
    at = Address(tenant, "t", uuid4(), "c", 1, "p")
    blob = seal(Secret("x"), kek=Kek(key_id, 1, material), at=at)
    assert open_sealed(blob, keks=lambda _id, _version: kek, at=at).reveal() == "x"

    def assert_refused(ring: KeyRing, tenant_id: UUID, key: UUID, version: int) -> None:
        with pytest.raises(SealBroken):
            unwrap_kek(wrapped, ring=ring, tenant_id=tenant_id, key_id=key, version=version)

    assert_refused(ring, uuid4(), key_id, 1)
    assert_refused(ring, tenant, uuid4(), 1)
    assert_refused(ring, tenant, key_id, 2)
    assert_refused(LocalFileKeyRing(write(tmp_path / "other.key", new_key())), tenant, key_id, 1)


def test_a_tenant_key_follows_the_ring_to_its_new_root_key(tmp_path: Path) -> None:
    old, new = new_key(), new_key()
    tenant, key_id = uuid4(), uuid4()
    before = LocalFileKeyRing(write(tmp_path / "root.key", old))
    wrapped = wrap_kek(os.urandom(32), ring=before, tenant_id=tenant, key_id=key_id, version=1)
    both = LocalFileKeyRing(write(tmp_path / "root.key", new, old))
    moved = rewrap_kek(wrapped, ring=both, tenant_id=tenant, key_id=key_id, version=1)
    after = LocalFileKeyRing(write(tmp_path / "root.key", new))
    assert unwrap_kek(moved, ring=after, tenant_id=tenant, key_id=key_id, version=1).version == 1


def test_only_a_32_byte_key_is_wrapped_and_only_one_is_accepted_back(ring: KeyRing) -> None:
    tenant, key_id = uuid4(), uuid4()
    with pytest.raises(ValueError, match="32 bytes"):
        wrap_kek(b"short", ring=ring, tenant_id=tenant, key_id=key_id, version=1)
    context = {"purpose": "tenant-kek", "tenant": str(tenant), "key": str(key_id), "version": "1"}
    with pytest.raises(SealBroken):
        unwrap_kek(ring.wrap(b"short", context), ring=ring, tenant_id=tenant, key_id=key_id, version=1)


@pytest.mark.case("T082")
def test_T082_the_canary_tells_a_wrong_key_from_the_right_one(ring: KeyRing, tmp_path: Path) -> None:
    canary = make_canary(ring)
    check_canary(ring, canary)
    stranger = LocalFileKeyRing(write(tmp_path / "other.key", new_key()))
    for wrong_ring, blob in ((stranger, canary), (ring, make_canary(stranger)), (ring, canary[:-1]), (ring, b"")):
        with pytest.raises(KeyRingProblem, match="does not open this database"):
            check_canary(wrong_ring, blob)
    with pytest.raises(KeyRingProblem):
        check_canary(ring, ring.wrap(b"another text", {"purpose": "key-ring-canary"}))
