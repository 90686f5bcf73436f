"""Write `apps/entrypoints/aws_wire/contract.json`: the service description the portal is led by at run time.

    python scripts/make_wire_contract.py            rewrite the file
    python scripts/make_wire_contract.py --check    exit 1 if the file is not what would be written

A developer's tool. It reads the two AgentCore service models that botocore ships and keeps what the portal
needs: for every identity operation its method, path, status, shapes with all their constraints, and errors.
The portal itself never imports botocore; the tests compare the file with the installed models.

The models are not right everywhere. Each correction below says what is wrong with the original.
"""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import botocore

TARGET = Path(__file__).resolve().parent.parent / "apps" / "entrypoints" / "aws_wire" / "contract.json"
MODELS = {
    "data": ("bedrock-agentcore", "2024-02-28"),
    "control": ("bedrock-agentcore-control", "2023-06-05"),
}
OPERATIONS = {
    "data": [
        "GetWorkloadAccessToken",
        "GetWorkloadAccessTokenForJWT",
        "GetWorkloadAccessTokenForUserId",
        "GetResourceOauth2Token",
        "GetResourceApiKey",
        "CompleteResourceTokenAuth",
        "GetResourcePaymentToken",
    ],
    "control": [
        "CreateWorkloadIdentity",
        "GetWorkloadIdentity",
        "UpdateWorkloadIdentity",
        "DeleteWorkloadIdentity",
        "ListWorkloadIdentities",
        "CreateOauth2CredentialProvider",
        "GetOauth2CredentialProvider",
        "UpdateOauth2CredentialProvider",
        "DeleteOauth2CredentialProvider",
        "ListOauth2CredentialProviders",
        "CreateApiKeyCredentialProvider",
        "GetApiKeyCredentialProvider",
        "UpdateApiKeyCredentialProvider",
        "DeleteApiKeyCredentialProvider",
        "ListApiKeyCredentialProviders",
        "GetTokenVault",
        "SetTokenVaultCMK",
        "ResetTokenVaultKeyMaterial",
        "TagResource",
        "UntagResource",
        "ListTagsForResource",
        "PutResourcePolicy",
        "GetResourcePolicy",
        "DeleteResourcePolicy",
        "CreatePaymentCredentialProvider",
        "GetPaymentCredentialProvider",
        "UpdatePaymentCredentialProvider",
        "DeletePaymentCredentialProvider",
        "ListPaymentCredentialProviders",
        "CreateConsentPortal",
        "GetConsentPortal",
        "UpdateConsentPortal",
        "DeleteConsentPortal",
        "ListConsentPortals",
        "CreateAgentRuntime",
        "GetAgentRuntime",
        "UpdateAgentRuntime",
        "DeleteAgentRuntime",
        "ListAgentRuntimes",
    ],
}
# Known by name only, so that the refusal can say what was asked for.
NAMED_ONLY = ("AgentRuntime",)

# Members that clients with older models send; the portal reads past them.
TOLERATED = {
    # Models of August 2025 carried the user next to the workload token, which names the user already.
    "GetResourceOauth2Token": ["userId"],
}

ACPS = "arn:(aws|aws-us-gov):acps:[A-Za-z0-9-]{1,64}:[0-9]{12}:token-vault/[a-zA-Z0-9-.]+/%s/[a-zA-Z0-9-.]+"
LIVE = "arn:aws:bedrock-agentcore:[A-Za-z0-9-]{1,64}:[0-9]{12}:token-vault/[a-zA-Z0-9-.]+/%s/[a-zA-Z0-9_-]{1,128}"

# shape -> (pattern in the model, pattern used here or None, why)
CORRECTIONS: dict[str, tuple[str, str | None, str]] = {
    "CredentialProviderArnType": (
        ACPS % "oauth2credentialprovider",
        LIVE % "oauth2credentialprovider",
        "live ARNs name the service bedrock-agentcore, and provider names may hold an underscore",
    ),
    "ApiKeyCredentialProviderArnType": (
        ACPS % "apikeycredentialprovider",
        LIVE % "apikeycredentialprovider",
        "live ARNs name the service bedrock-agentcore, and provider names may hold an underscore",
    ),
    "PaymentCredentialProviderArnType": (
        ACPS % "paymentcredentialprovider",
        LIVE % "paymentcredentialprovider",
        "live ARNs name the service bedrock-agentcore, and provider names may hold an underscore",
    ),
    "TaggableResourcesArn": (
        "arn:(?:[^:]+)?:bedrock-agentcore:[a-z0-9-]+:[0-9]{12}:([a-z-]+/[^/]+)(?:/[a-z-]+/[^/]+)*",
        "arn:(?:[^:]+)?:bedrock-agentcore:[A-Za-z0-9-]+:[0-9]{12}:([a-z0-9-]+/[^/]+)(?:/[a-z0-9-]+/[^/]+)*",
        "the segment oauth2credentialprovider holds a digit; a region is any label of the caller's",
    ),
    "RuntimeContainerUri": (
        r"(([0-9]{12})\.dkr\.ecr\.([a-z0-9-]+)\.amazonaws\.com(\.cn)?|public\.ecr\.aws)/((?:[a-z0-9]+(?:[._-][a-z0-9]+)*/)"
        r"*[a-z0-9]+(?:[._-][a-z0-9]+)*)(?::([^:@]{1,300}))?(?:@(.+))?",
        None,
        "the portal runs no containers: the member holds the address of an agent that runs elsewhere",
    ),
    "UserTokenType": (
        "[A-Za-z0-9-_=]+.[A-Za-z0-9-_=]+.[A-Za-z0-9-_=]+",
        None,
        "the bare dots match anything, which takes quadratic time on hostile input; and a malformed proof must get "
        "the same answer as any other bad proof, so its form is judged by whoever verifies it",
    ),
}

# Maxima for what the model leaves open and the portal stores or matches. Without one a pattern runs over text as
# long as the body: the discovery pattern takes quadratic time on it.
LIMITS = {
    "DiscoveryUrlType": 2048,
    "IssuerUrlType": 2048,
    "AuthorizationEndpointType": 2048,
    "TokenEndpointType": 2048,
    "ResponseType": 128,
    "CertificateSecretArn": 2048,
    "SubnetIds": 50,
    "ResponseListType": 20,
    "ScopesListType": 100,
    "ResourcesListType": 50,
    "AudiencesListType": 50,
    "CustomRequestParametersType": 50,
    "ResourceOauth2ReturnUrlListType": 100,
    "String": 4096,
    "DiscoveryUrl": 2048,
    "S3LocationBucketString": 63,
    "CapacityProviderArn": 256,
    "AllowedAudienceList": 50,
    "AllowedClientsList": 50,
    "AllowedScopesType": 50,
    "CustomClaimValidationsType": 20,
    "MatchValueStringList": 50,
}

_KEPT = ("timestampFormat", "type", "min", "max", "pattern", "enum", "required", "union", "sensitive")


def load_models() -> dict[str, dict[str, Any]]:
    root = Path(botocore.__file__).parent / "data"
    models = {}
    for plane, (service, version) in MODELS.items():
        packed = root / service / version / "service-2.json.gz"
        text = gzip.decompress(packed.read_bytes()) if packed.exists() else packed.with_suffix("").read_bytes()
        models[plane] = json.loads(text)
    return models


def build() -> dict[str, Any]:
    """The contract as plain data, in a stable order."""
    models = load_models()
    operations: dict[str, Any] = {}
    shapes: dict[str, dict[str, Any]] = {}
    errors: dict[str, int] = {}
    named: list[dict[str, str]] = []
    used: set[str] = set()
    for plane, model in models.items():
        shapes[plane] = {}
        for name in OPERATIONS[plane]:
            operation = model["operations"][name]
            operations[name] = {
                "plane": plane,
                "method": operation["http"]["method"],
                "path": operation["http"]["requestUri"],
                "status": operation["http"]["responseCode"],
                "input": operation.get("input", {}).get("shape"),
                "output": operation.get("output", {}).get("shape"),
                "errors": sorted(error["shape"] for error in operation["errors"]),
                "tolerated": TOLERATED.get(name, []),
            }
            for error in operations[name]["errors"]:
                errors[error] = model["shapes"][error]["error"]["httpStatusCode"]
            for root in (operations[name]["input"], operations[name]["output"], *operations[name]["errors"]):
                if root is not None:
                    _collect(model, root, shapes[plane], used)
        named += [
            {"name": name, "method": operation["http"]["method"], "path": operation["http"]["requestUri"]}
            for name, operation in model["operations"].items()
            if name not in operations and any(word in name for word in NAMED_ONLY)
        ]
    unused = (set(CORRECTIONS) | set(LIMITS)) - used
    if unused:
        raise SystemExit(f"corrections without a shape: {sorted(unused)}")
    return {
        "source": {"botocore": botocore.__version__, "services": {k: list(v) for k, v in MODELS.items()}},
        "corrections": {name: why for name, (_, _, why) in sorted(CORRECTIONS.items())},
        "added_limits": dict(sorted(LIMITS.items())),
        "operations": dict(sorted(operations.items())),
        "named_only": sorted(named, key=lambda entry: entry["name"]),
        "errors": dict(sorted(errors.items())),
        "shapes": {plane: dict(sorted(found.items())) for plane, found in shapes.items()},
    }


def _collect(model: dict[str, Any], root: str, found: dict[str, Any], used: set[str]) -> None:
    """Copy a shape and everything it refers to, constraints only."""
    queue = [root]
    while queue:
        name = queue.pop()
        if name in found:
            continue
        original = model["shapes"][name]
        kept = {key: original[key] for key in _KEPT if key in original}
        if name in CORRECTIONS:
            wrong, right, _ = CORRECTIONS[name]
            if original.get("pattern") != wrong:
                raise SystemExit(f"{name}: the model's pattern has changed; look at its correction again")
            used.add(name)
            kept.pop("pattern")
            if right is not None:
                kept["pattern"] = right
        for part in ("member", "key", "value"):
            if part in original:
                kept[part] = original[part]["shape"]
        if name in LIMITS:
            if "max" in original:
                raise SystemExit(f"{name}: the model has a maximum of its own now; drop it from LIMITS")
            used.add(name)
            kept["max"] = LIMITS[name]
        if "members" in original:
            kept["members"] = {
                member: {
                    "shape": spec["shape"],
                    **{key: spec[key] for key in ("location", "locationName") if key in spec},
                }
                for member, spec in original["members"].items()
            }
        found[name] = kept
        queue += _references(kept)


def _references(shape: dict[str, Any]) -> Iterator[str]:
    yield from (shape[part] for part in ("member", "key", "value") if part in shape)
    yield from (member["shape"] for member in shape.get("members", {}).values())


def render() -> str:
    return json.dumps(build(), indent=1, ensure_ascii=True) + "\n"


def main(arguments: list[str]) -> int:
    text = render()
    if "--check" in arguments:
        if TARGET.read_text() != text:
            print(f"{TARGET.name} is not what the installed models give; run {Path(__file__).name}", file=sys.stderr)
            return 1
        return 0
    TARGET.write_text(text)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
