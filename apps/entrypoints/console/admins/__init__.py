"""One module per kind of page. Importing this package registers them all."""

from apps.entrypoints.console.admins import (  # noqa: F401
    agents,
    audit,
    bindings,
    connections,
    doors,
    issuers,
    keys,
    oauth,
    people,
    platform,
    principals,
    providers,
    tenants,
    vault,
)
