"""The vendors a provider can be made for, as choices of a form, from the catalogue."""

from __future__ import annotations

import json
from functools import cache

from django.utils.translation import gettext as _

from apps.upstream.catalogue.catalogue import VendorName
from apps.upstream.catalogue.catalogue import vendor as entry_of

CUSTOM = VendorName.CUSTOM.value


@cache
def names() -> dict[str, str]:
    """The vendor's name on the wire -> for people, custom first, the rest by name."""
    found = {vendor.value: entry_of(vendor.value).name for vendor in VendorName}
    rest = sorted((name.casefold(), value) for value, name in found.items() if value != CUSTOM)
    return {CUSTOM: found[CUSTOM], **{value: found[value] for _name, value in rest}}


def choices() -> list[tuple[str, str]]:
    return [("", _("Select a vendor")), *names().items()]


@cache
def inputs(vendor: str) -> tuple[str, ...]:
    """What a vendor needs besides client id and secret, as names of our form's fields."""
    needed = tuple(str(name) for name in entry_of(vendor).inputs)
    return ("discovery_url", *needed, "client_authentication") if vendor == CUSTOM else needed


@cache
def inputs_json() -> str:
    """For the script that shows only the fields of the chosen vendor."""
    return json.dumps({vendor: inputs(vendor) for vendor in names()})
