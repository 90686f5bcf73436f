"""Where a sealed value lives, as bytes that are bound into its seal.

A ciphertext copied to another tenant, table, row, column or version must not open there. The address is built
from the row the caller is looking at, never from the sealed bytes: what a blob says about itself proves nothing.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from uuid import UUID

# The two labels differ at the same place, so a wrapped data key is never taken for a payload or the reverse.
_PAYLOAD = b"identity-portal/seal/payload\0"
_DATA_KEY = b"identity-portal/seal/data-key\0"

# Everything of fixed size, then the length of each text, then the texts: no two addresses give the same bytes.
_FIXED = struct.Struct(">16s16sQHHH")
_KEY = struct.Struct(">16sI")


@dataclass(frozen=True, slots=True)
class Address:
    """One version of one secret. `secret_version` counts from 1 with each replacement.

    The encoding takes versions below 2^64 and texts below 64 KiB; beyond that it raises struct.error.
    """

    tenant_id: UUID
    table: str
    row_id: UUID
    column: str
    secret_version: int
    purpose: str  # for example "connection.refresh_token"

    def encode(self) -> bytes:
        """The canonical bytes of this address, one encoding per address and one address per encoding."""
        table, column, purpose = self.table.encode(), self.column.encode(), self.purpose.encode()
        fixed = _FIXED.pack(
            self.tenant_id.bytes, self.row_id.bytes, self.secret_version, len(table), len(column), len(purpose)
        )
        return fixed + table + column + purpose


def payload_aad(format_header: bytes, address: bytes) -> bytes:
    """Associated data of the secret itself. `format_header` is two bytes, `address` comes from encode().

    The key-encryption key is absent on purpose: a rotation wraps the data key anew and leaves this layer alone.
    """
    return _PAYLOAD + format_header + address


def data_key_aad(format_header: bytes, kek_id: UUID, kek_version: int, address: bytes) -> bytes:
    """Associated data of the wrapped data key: the address, and the key that wraps it."""
    return _DATA_KEY + format_header + _KEY.pack(kek_id.bytes, kek_version) + address
