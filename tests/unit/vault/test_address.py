"""Two addresses never share their bytes: otherwise a secret would open in a place it was not sealed for."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from apps.vault.sealing.address import Address, data_key_aad, payload_aad

# Few values and shared letters, so that shifted borders and swapped members actually come up.
_ids = st.sampled_from([UUID(int=0), UUID(int=1), UUID(int=2**127)]) | st.uuids()
_texts = st.text(alphabet="ab\0é", max_size=4)
_versions = st.sampled_from([0, 1, 256, 2**32, 2**64 - 1])
addresses = st.builds(
    Address, tenant_id=_ids, table=_texts, row_id=_ids, column=_texts, secret_version=_versions, purpose=_texts
)
HEADER = b"\x01\x01"


@given(addresses, addresses)
def test_different_addresses_have_different_bytes(one: Address, other: Address) -> None:
    assert (one == other) == (one.encode() == other.encode())


@given(addresses, addresses, _ids, st.integers(0, 2**32 - 1))
def test_the_two_layers_never_share_their_bytes(one: Address, other: Address, kek_id: UUID, version: int) -> None:
    assert payload_aad(HEADER, one.encode()) != data_key_aad(HEADER, kek_id, version, other.encode())


@given(addresses, _ids, _ids, st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))
def test_the_wrapped_key_is_bound_to_the_key_that_wraps_it(
    at: Address, one: UUID, other: UUID, first: int, second: int
) -> None:
    same = (one, first) == (other, second)
    place = at.encode()
    assert same == (data_key_aad(HEADER, one, first, place) == data_key_aad(HEADER, other, second, place))


def test_every_member_counts() -> None:
    at = Address(UUID(int=1), "t", UUID(int=2), "c", 1, "p")
    changes: dict[str, Any] = {"tenant_id": UUID(int=3), "row_id": UUID(int=3), "secret_version": 2}
    seen = {at.encode()} | {
        replace(at, **{member.name: changes.get(member.name, "x")}).encode() for member in fields(Address)
    }
    assert len(seen) == 1 + len(fields(Address))


def test_borders_between_texts_count() -> None:
    at = Address(UUID(int=1), "ab", UUID(int=2), "c", 1, "p")
    assert at.encode() != replace(at, table="a", column="bc").encode()
    assert at.encode() != replace(at, column="cp", purpose="").encode()
