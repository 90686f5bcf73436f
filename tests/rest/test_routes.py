"""All commands have a way in, and every way in comes to the same decision as the broker asked directly."""

from __future__ import annotations

import json
import uuid

import pytest

from apps.broker import contracts as c
from apps.broker import contracts_policy as p
from apps.broker.authorization_server import contracts as o
from apps.broker.authorization_server.web_identity import IssueWebIdentityToken
from apps.broker.control_plane.enter import EnterTenant
from apps.broker.control_plane.tenants import RecordNewTenant
from apps.broker.inbound.contracts import AuthorizeInvocation
from apps.broker.run import _HANDLERS, run
from apps.core.errors import Code, PortalError
from apps.entrypoints.aws_wire.operations import SUPPORTED
from apps.policy.permissions import PERMISSION, ROLE_ACTIONS
from tests.rest.api import Api
from tests.rest.routes import ROUTES, Route
from tests.support import trail

every_route = pytest.mark.parametrize("route", ROUTES, ids=str)

# Neither REST nor the wire, each with the reason.
ELSEWHERE = {
    c.ShowConsent: "a person's page",
    c.DecideConsent: "a person's page",
    c.HandleCallback: "the provider's way back",
    EnterTenant: "platform staff choose a tenant in the console",
    RecordNewTenant: "the operator's command line",
    c.RefuseUnsupported: "refuses, on the wire, what the portal does not offer",
    AuthorizeInvocation: "the gateway's own call, POST /api/v1/authorize",
    IssueWebIdentityToken: "the STS query protocol",
    o.TokenRequest: "the authorization server's own endpoint",
    o.IntrospectToken: "the authorization server's own endpoint",
    o.RevokeToken: "the authorization server's own endpoint",
    o.ViewAuthorization: "a person's page",
    o.DecideAuthorization: "a person's page",
    **dict.fromkeys(
        (c.SetBinding, c.GetBinding, c.ListBindings, c.DeleteBinding), "in the console; REST has no bindings yet"
    ),
    **dict.fromkeys(
        (p.ExplainRequest, p.ExplainUse, p.SurveyUnbound, p.BindWhatIsInUse),
        "in the console and on the command line; REST has no policy yet",
    ),
}


def test_every_command_is_reachable_by_rest_or_by_the_wire():
    by_rest = {command for route in ROUTES for command in route.operation.commands}
    by_wire = {command for command in _HANDLERS if PERMISSION.get(command.action) in SUPPORTED}
    # Each page command is on its page, and nothing that is reachable is excused.
    assert set(_HANDLERS) - by_rest - by_wire == set(ELSEWHERE)
    assert by_rest <= set(_HANDLERS)


def test_operations_have_names_of_their_own():
    ids = [route.operation.id for route in ROUTES]
    assert len(set(ids)) == len(ids) == len({(route.method, route.path) for route in ROUTES})


def test_what_changes_something_is_not_repeated_by_mistake():
    """Reads and tokens repeat; nothing else does."""
    repeating = {route.operation.id for route in ROUTES if route.operation.repeats}
    reads = {route.operation.id for route in ROUTES if route.method == "GET"}
    assert repeating - reads == {"issueWorkloadToken", "fetchOAuthToken", "fetchApiKey"}
    assert reads <= repeating


def absent(route: Route) -> str:
    return route.at(
        **{
            label: str(uuid.uuid4())
            if label.endswith("_id") and label not in ("access_key_id", "client_id")
            else "absent-thing"
            for label in route.labels
        }
    )


def through(code: str) -> str:
    """What was decided about the caller, whatever happened then."""
    return code if code in (Code.UNAUTHENTICATED, Code.NOT_ALLOWED) else "through"


def asked_directly(route: Route, caller) -> str:
    """The same command without the REST API in between."""
    from django.test import RequestFactory

    made = []

    class Probe:
        def perform(self, operation, make, path):
            from apps.entrypoints.rest import reading

            request = RequestFactory().generic(
                route.method,
                "/",
                b"" if route.body is None else json.dumps(route.body),
                content_type="application/json",
            )
            made.append(make(self, reading.given(operation, request), **path))

    from django.urls import resolve

    path = resolve(absent(route)).kwargs
    getattr(route.make, route.method.lower())(Probe(), None, **path)
    try:
        run(made[0], caller)
    except PortalError as refused:
        return through(refused.code)
    return "through"


STATUS = {401: Code.UNAUTHENTICATED, 403: Code.NOT_ALLOWED}


@pytest.fixture(scope="module")
def desk(request):
    from tests.conftest import make_tenant

    return make_tenant()


@every_route
@pytest.mark.parametrize("role", sorted(set(ROLE_ACTIONS) - {"platform_admin", "end_user"}))
def test_a_person_may_by_rest_what_the_role_may(desk, route, role):
    person = Api.as_person(desk, role)
    from apps.authn.caller import CallerKind
    from apps.tenants.models import User

    user = User.objects.get(id=person.client.session["_auth_user_id"])
    direct = asked_directly(
        route, desk.caller(kind=CallerKind.PERSON, name=str(user.id), row_id=user.id, proof="session")
    )
    reply = person.send(route.method, absent(route), route.body)
    assert through(STATUS.get(reply.status, "through")) == direct, reply.body
    allowed = {command.action for command in route.operation.commands} <= ROLE_ACTIONS[role] | {"caller.read"}
    # Completing looks for the session first: who names none hears that, whatever they may.
    if direct != Code.UNAUTHENTICATED and route.operation.id != "completeConsent":
        assert (direct == "through") == allowed


@every_route
def test_a_key_without_permissions_may_nothing_by_rest(desk, route):
    reply = Api.with_grants(desk).send(route.method, absent(route), route.body)
    if route.operation.commands[0].action == "caller.read":
        assert reply.status == 200
    elif route.operation.id in ("fetchOAuthToken", "fetchApiKey"):
        assert reply.status == 401  # the example's workload token is none
    elif route.operation.id == "completeConsent":
        assert reply.status == 404  # no such session, whoever asks
    else:
        assert reply.status == 403, reply.body
    assert trail(desk, request_id=reply.headers["x-request-id"])
