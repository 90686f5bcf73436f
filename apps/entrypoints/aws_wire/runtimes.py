"""Agent runtimes between the wire and the broker. The portal runs nothing: what is about running is refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apps.broker.inbound import contracts as c
from apps.core.errors import Invalid, NotSupported

Members = Mapping[str, Any]

_RUNS_NOTHING = (
    "This portal does not run agents. Run the agent where you like and give its address, https://…, as "
    "agentRuntimeArtifact.containerConfiguration.containerUri"
)
# Options of the model that are about a host, with what to do instead.
_OUTSIDE = {
    "environmentVariables": f"{_RUNS_NOTHING}; set its environment there.",
    "lifecycleConfiguration": f"{_RUNS_NOTHING}; how long it lives is decided there.",
    "hooksConfiguration": f"{_RUNS_NOTHING}.",
    "filesystemConfigurations": f"{_RUNS_NOTHING}.",
    "capacityProviderConfiguration": f"{_RUNS_NOTHING}.",
    "resourceConfigurations": f"{_RUNS_NOTHING}.",
    "metadataConfiguration": f"{_RUNS_NOTHING}.",
    "platformVersion": f"{_RUNS_NOTHING}.",
    "allowedPorts": f"{_RUNS_NOTHING}, port included.",
}
_OUTSIDE_OF_JWT = {
    "privateEndpoint": "Private (VPC) endpoints are not supported by this portal. "
    "An operator can allow a private host instead.",
    "privateEndpointOverrides": "Private (VPC) endpoints are not supported by this portal. "
    "An operator can allow a private host instead.",
    "certificateConfigurations": "Certificates per issuer are not supported by this portal.",
    "allowedWorkloadConfiguration": "Chains of workload identities are not supported by this portal. "
    "Name the callers by issuer, client and claims.",
}


_JWT = "authorizerConfiguration.customJWTAuthorizer"
# The broker's words for members, in those of the request.
WIRE_WORDS = {
    "audiences": f"{_JWT}.allowedAudience",
    "clients": f"{_JWT}.allowedClients",
    "scopes": f"{_JWT}.allowedScopes",
    "custom_claims": f"{_JWT}.customClaims",
    "discovery_url": f"{_JWT}.discoveryUrl",
    "advertised_scopes": f"{_JWT}.advertisedScopeMapping",
    "request_headers": "requestHeaderConfiguration.requestHeaderAllowlist",
    "endpoint_url": "agentRuntimeArtifact.containerConfiguration.containerUri",
}


def settings_of(members: Members) -> c.RuntimeSettings:
    """The broker's settings from the members of a create or update request.

    Raises NotSupported for an option about running agents, Invalid for one that is not well-formed.
    """
    for option, sentence in _OUTSIDE.items():
        if members.get(option):
            raise NotSupported(sentence, reason="option_unsupported")
    if members.get("networkConfiguration", {}).get("networkMode", "PUBLIC") != "PUBLIC":
        raise NotSupported(
            f"{_RUNS_NOTHING}. networkMode PUBLIC stands for wherever that is.",
            reason="option_unsupported",
        )
    protocol = members.get("protocolConfiguration", {"serverProtocol": "HTTP"})
    if "port" in protocol or "path" in protocol:
        raise NotSupported(f"{_RUNS_NOTHING}, port and path included.", reason="option_unsupported")
    headers = members.get("requestHeaderConfiguration", {}).get("requestHeaderAllowlist", ())
    return c.RuntimeSettings(
        role_arn=members["roleArn"],
        description=members.get("description", ""),
        protocol=protocol["serverProtocol"],
        authorizer=_authorizer(members.get("authorizerConfiguration"), _endpoint(members), tuple(headers)),
    )


def _endpoint(members: Members) -> str:
    ((kind, artifact),) = members["agentRuntimeArtifact"].items()
    address: str = artifact.get("containerUri", "") if kind == "containerConfiguration" else ""
    if not address.startswith(("https://", "http://")):
        raise NotSupported(f"{_RUNS_NOTHING}.", reason="option_unsupported")
    return address


def _authorizer(given: Members | None, endpoint: str, headers: tuple[str, ...]) -> c.AuthorizerSettings:
    if given is None:
        return c.AuthorizerSettings(kind="AWS_IAM", endpoint_url=endpoint, request_headers=headers)
    jwt = given["customJWTAuthorizer"]
    for option, sentence in _OUTSIDE_OF_JWT.items():
        if jwt.get(option):
            raise NotSupported(sentence, reason="option_unsupported")
    return c.AuthorizerSettings(
        kind="CUSTOM_JWT",
        issuers=(
            c.IssuerSettings(
                discovery_url=jwt["discoveryUrl"],
                audiences=tuple(jwt.get("allowedAudience", ())),
                clients=tuple(jwt.get("allowedClients", ())),
                scopes=tuple(jwt.get("allowedScopes", ())),
                custom_claims=tuple(_claim(one) for one in jwt.get("customClaims", ())),
            ),
        ),
        advertised_scopes=jwt.get("advertisedScopeMapping", {}),
        request_headers=headers,
        endpoint_url=endpoint,
    )


def _claim(given: Members) -> c.CustomClaim:
    match = given["authorizingClaimMatchValue"]
    ((kind, value),) = match["claimMatchValue"].items()
    several = kind == "matchValueStringList"
    if several and not value:
        raise Invalid.field("customClaims", "A claim rule needs at least one value.", reason="claim_rule_invalid")
    return c.CustomClaim(
        claim=given["inboundTokenClaimName"],
        value_type=given["inboundTokenClaimValueType"],
        operator=match["claimMatchOperator"],
        values=tuple(value) if several else (value,),
        several=several,
    )


def created(view: c.RuntimeView) -> dict[str, Any]:
    return {
        "agentRuntimeArn": view.arn,
        "agentRuntimeId": view.runtime_id,
        "agentRuntimeVersion": str(view.version),
        "workloadIdentityDetails": {"workloadIdentityArn": view.workload_identity_arn},
        "createdAt": view.created_at,
        "status": "READY",
    }


def updated(view: c.RuntimeView) -> dict[str, Any]:
    return {**created(view), "lastUpdatedAt": view.updated_at}


def deleted(view: c.RuntimeView) -> dict[str, Any]:
    return {"status": "DELETING", "agentRuntimeId": view.runtime_id, "agentRuntimeVersion": str(view.version)}


def listed(view: c.RuntimeView) -> dict[str, Any]:
    return {
        "agentRuntimeArn": view.arn,
        "agentRuntimeId": view.runtime_id,
        "agentRuntimeVersion": str(view.version),
        "agentRuntimeName": view.name,
        "description": view.description,
        "lastUpdatedAt": view.updated_at,
        "status": "READY",
    }


def described(view: c.RuntimeView) -> dict[str, Any]:
    authorizer = view.authorizer
    headers = list(authorizer.request_headers)
    return {
        **updated(view),
        "agentRuntimeName": view.name,
        "roleArn": view.role_arn,
        "description": view.description or None,
        "networkConfiguration": {"networkMode": "PUBLIC"},
        "lifecycleConfiguration": {},
        "protocolConfiguration": {"serverProtocol": view.protocol},
        "agentRuntimeArtifact": {"containerConfiguration": {"containerUri": authorizer.endpoint_url}},
        "requestHeaderConfiguration": {"requestHeaderAllowlist": headers} if headers else None,
        "authorizerConfiguration": _jwt(authorizer),
    }


def _jwt(authorizer: c.AuthorizerView) -> dict[str, Any] | None:
    """The authorizer as the model can say it; of several issuers, which it cannot, the first."""
    if not authorizer.issuers:
        return None
    issuer = authorizer.issuers[0]
    told = {
        "discoveryUrl": issuer.discovery_url,
        "allowedAudience": list(issuer.audiences),
        "allowedClients": list(issuer.clients),
        "allowedScopes": list(issuer.scopes),
        "customClaims": [_claim_told(one) for one in issuer.custom_claims],
        "advertisedScopeMapping": dict(authorizer.advertised_scopes),
    }
    return {"customJWTAuthorizer": {name: value for name, value in told.items() if value}}


def _claim_told(claim: c.CustomClaim) -> dict[str, Any]:
    value = {"matchValueStringList": list(claim.values)} if claim.several else {"matchValueString": claim.values[0]}
    return {
        "inboundTokenClaimName": claim.claim,
        "inboundTokenClaimValueType": claim.value_type,
        "authorizingClaimMatchValue": {"claimMatchValue": value, "claimMatchOperator": claim.operator},
    }
