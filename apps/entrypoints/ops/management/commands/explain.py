"""Why a call was, or would be, allowed or denied."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from apps.broker import contracts as c
from apps.broker.contracts_policy import ExplainRequest, ExplainUse, Explanation, PastDecision
from apps.broker.control_plane.tenants import system_caller
from apps.broker.run import run
from apps.core.errors import Invalid
from apps.entrypoints.ops.management.base import OperatorCommand, tenant_by_slug
from apps.policy.bindings import FLOWS
from apps.policy.words import sentence


class Command(OperatorCommand):
    help = "Explain a past request by its id, or whether an agent would get a credential now. Releases nothing."

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("tenant")
        parser.add_argument("--request", metavar="ID", help="a past call, by its request id")
        parser.add_argument("--agent")
        parser.add_argument("--provider")
        parser.add_argument("--flow", choices=FLOWS)
        parser.add_argument("--user-id", help="whom the agent acts for; without --user-id or --issuer, itself")
        parser.add_argument("--issuer")
        parser.add_argument("--subject")
        parser.add_argument("--scope", action="append", default=[])
        parser.add_argument("--resource", action="append", default=[])
        parser.add_argument("--audience", action="append", default=[])
        parser.add_argument("--parameter", action="append", default=[], metavar="NAME=VALUE")
        parser.add_argument("--key", metavar="ACCESS_KEY_ID", help="also what this access key may do")
        parser.add_argument("--region", default="us-east-1", help="as the caller would say it (default us-east-1)")

    def act(self, **options: Any) -> dict[str, Any]:
        tenant = tenant_by_slug(options["tenant"])
        caller = system_caller(tenant, "manage.py")
        if options["request"]:
            return _past(run(ExplainRequest(request_id=options["request"]), caller), as_json=options["json"])
        missing = [name for name in ("agent", "provider", "flow") if not options[name]]
        if missing:
            raise Invalid.field(
                missing[0], "Give --request, or --agent, --provider and --flow.", reason="question_incomplete"
            )
        return _shown(run(_question(options), caller), as_json=options["json"])


def _question(options: dict[str, Any]) -> ExplainUse:
    if options["user_id"] and (options["issuer"] or options["subject"]):
        raise Invalid.field("user_id", "Give a user id, or an issuer and a subject.", reason="question_incomplete")
    if bool(options["issuer"]) != bool(options["subject"]):
        raise Invalid.field("subject", "Issuer and subject belong together.", reason="question_incomplete")
    who = None
    if options["user_id"]:
        who = c.Who(kind="uid", subject=options["user_id"])
    elif options["issuer"]:
        who = c.Who(kind="jwt", issuer=options["issuer"], subject=options["subject"])
    parameters = {}
    for text in options["parameter"]:
        name, equals, value = text.partition("=")
        if not equals:
            raise Invalid.field("parameter", f"{text!r} is not NAME=VALUE.", reason="question_incomplete")
        parameters[name] = value
    return ExplainUse(
        agent=options["agent"],
        provider=options["provider"],
        flow=options["flow"],
        who=who,
        scopes=tuple(options["scope"]),
        resources=tuple(options["resource"]),
        audiences=tuple(options["audience"]),
        custom_parameters=parameters,
        access_key_id=options["key"],
        region=options["region"],
    )


def _shown(answer: Explanation, *, as_json: bool) -> dict[str, Any]:
    if as_json:
        return {
            "outcome": answer.outcome,
            "reason": answer.reason,
            "decided_by": answer.decided_by.rule,
            "clauses": [{**one.as_json(), "sentence": sentence(one.rule, one.holds)} for one in answer.clauses],
        }
    shown: dict[str, Any] = {"outcome": answer.outcome, "reason": answer.reason}
    for number, one in enumerate(answer.clauses, 1):
        told = "  ".join(f"{name}={value}" for name, value in one.told.items() if value is not None)
        shown[f"{number:2} {'yes' if one.holds else 'NO '} {one.rule}"] = f"{sentence(one.rule, one.holds)}  {told}"
    return shown


def _past(found: PastDecision, *, as_json: bool) -> dict[str, Any]:
    clause = found.clause or {}
    shown: dict[str, Any] = {
        "request": found.request_id,
        "action": found.action,
        "at": found.at.isoformat(),
        "agent": found.agent,
        "provider": found.provider,
        "outcome": found.outcome,
        "reason": found.reason,
        "clause": found.clause if as_json else clause.get("rule", ""),
    }
    if found.not_recorded:
        shown["not_recorded"] = list(found.not_recorded) if as_json else ", ".join(found.not_recorded)
    if as_json:
        return {**shown, "now": _shown(found.now, as_json=True) if found.now else None}
    if found.now:
        shown.update({f"now {name}": value for name, value in _shown(found.now, as_json=False).items()})
    return shown
