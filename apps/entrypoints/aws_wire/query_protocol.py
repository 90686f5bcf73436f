"""Calls in the AWS query protocol, which STS speaks: `POST /` with a form that names an `Action`.

They arrive because somebody set `AWS_ENDPOINT_URL`, which redirects every AWS service. A client of that protocol
reads XML errors only, and shows a person their message; so that is what it gets. Nothing is offered here and
nothing is proven: everybody gets the same refusal.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl
from xml.etree import ElementTree

from apps.broker import aws_gate
from apps.core.errors import Code, NotSupported, PortalError
from apps.entrypoints.aws_wire.errors import OPAQUE, WireResponse

NAMESPACE = "https://sts.amazonaws.com/doc/2011-06-15/"
FORM = "application/x-www-form-urlencoded"

_root = re.compile(r"(?:/t/[a-z0-9][a-z0-9-]{0,62})?/?").fullmatch
_action = re.compile(r"[A-Za-z0-9]{1,64}").fullmatch
_MAX_FIELDS = 1000

# Error code and status for refusals of ours: the "common errors" of the query protocol.
_COMMON: Mapping[Code, tuple[str, int]] = {
    Code.UNREADABLE: ("ValidationError", 400),
    Code.THROTTLED: ("Throttling", 400),
    Code.NOT_SUPPORTED: ("InvalidAction", 400),
}
_INTERNAL = ("InternalFailure", 500)
# The one action for which the service model has an exception that says "this is not on here".
_MODELLED = {"GetWebIdentityToken": ("OutboundWebIdentityFederationDisabledException", 403)}

_SENTENCE = (
    "This portal is no AWS STS{and_not}. It offers the operations of Amazon Bedrock AgentCore Identity: set "
    "AWS_ENDPOINT_URL_BEDROCK_AGENTCORE and AWS_ENDPOINT_URL_BEDROCK_AGENTCORE_CONTROL to its address, and not "
    "AWS_ENDPOINT_URL, which sends every AWS service here."
)


def is_query_call(environ: Mapping[str, Any]) -> bool:
    """Whether a request is one of the query protocol, by method, path and media type. No page takes a form at `/`."""
    return (
        environ["REQUEST_METHOD"] == "POST"
        and _root(environ["PATH_INFO"]) is not None
        and environ.get("CONTENT_TYPE", "").partition(";")[0].strip().lower() == FORM
    )


def refuse(body: Callable[[], bytes], *, request_id: str, source_ip: str | None) -> WireResponse:
    """The refusal, recorded in the operators' stream. Raises DatabaseError where that is not possible."""
    action = ""
    try:
        action = _action_of(body())
        refused: PortalError = NotSupported(
            _SENTENCE.format(and_not=f" and does not offer {action}" if action else ""), reason="sts_not_supported"
        )
    except PortalError as unreadable:
        refused = unreadable
    return render(
        aws_gate.turned_away(refused, request_id=request_id, source_ip=source_ip), action=action, request_id=request_id
    )


def render(error: BaseException, *, action: str, request_id: str) -> WireResponse:
    """An error as the protocol's `ErrorResponse`. Anything but a PortalError is a fault of ours and says nothing."""
    code, status, message = *_INTERNAL, OPAQUE
    if isinstance(error, PortalError):
        code, status = _COMMON.get(error.code, _INTERNAL)
        if error.code is Code.NOT_SUPPORTED:
            code, status = _MODELLED.get(action, (code, status))
        message = error.public if status < 500 else OPAQUE
    root = ElementTree.Element("ErrorResponse", xmlns=NAMESPACE)
    inner = ElementTree.SubElement(root, "Error")
    for name, text in (("Type", "Receiver" if status >= 500 else "Sender"), ("Code", code), ("Message", message)):
        ElementTree.SubElement(inner, name).text = text
    ElementTree.SubElement(root, "RequestId").text = request_id
    headers = {"Content-Type": "text/xml", "Cache-Control": "no-store", "x-amzn-RequestId": request_id}
    return WireResponse(status, headers, ElementTree.tostring(root, encoding="utf-8"))


def _action_of(body: bytes) -> str:
    """The action's name if it is a name; anything else is not repeated."""
    try:
        fields = parse_qsl(body.decode("ascii"), max_num_fields=_MAX_FIELDS)
    except ValueError:
        return ""
    named = [value for name, value in fields if name == "Action"]
    return named[0] if len(named) == 1 and _action(named[0]) else ""
