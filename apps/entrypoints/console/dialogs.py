"""Actions on one object: a dialog first, then a POST. Nothing happens on a GET.

Unfold's own decorator makes an action without a dialog a plain link, that is, a change by GET. Ours has no such
form: a method says which command to run, everything around it is here.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, cast

from django.contrib import messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from unfold.enums import ActionVariant

from apps.broker.contracts import Command
from apps.broker.run import run
from apps.core.errors import PortalError
from apps.entrypoints.console.deferred import Deferred
from apps.entrypoints.console.desk import caller_of, may
from apps.entrypoints.console.forms import DialogForm

Build = Callable[[Any, HttpRequest, Any, Any], Command]
_DANGER = {ActionVariant.DANGER, ActionVariant.WARNING}


def dialog(
    *,
    right: str,
    label: Any,
    title: Any,
    submit: Any,
    done: Any,
    description: Any = "",
    form: type[DialogForm] = DialogForm,
    applies: Callable[[Any], bool] = lambda _row: True,
    icon: str = "",
    variant: ActionVariant = ActionVariant.DEFAULT,
    testid: str = "",
    answer: Callable[[Any, HttpRequest, Any], HttpResponse] | None = None,
) -> Callable[[Build], Callable[..., HttpResponse]]:
    """Make a detail action. `right` is the action a role must hold, `applies` whether it makes sense for a row.
    `answer` makes a page of the command's outcome, for what is shown once; its form is sent without script."""

    def decorate(build: Build) -> Callable[..., HttpResponse]:
        words = {"title": title, "description": description, "submit": submit, "danger": variant in _DANGER}
        words["plain"] = answer is not None

        @wraps(build)
        def view(self: Any, request: HttpRequest, object_id: str) -> HttpResponse:
            if not may(request, right):
                raise PermissionDenied
            target = self.get_object(request, unquote(object_id))
            if target is None:
                raise Http404
            if request.method in ("GET", "HEAD"):
                return _show(self, request, target, words, form(request=request, target=target))
            if request.method != "POST":
                return HttpResponseNotAllowed(["GET", "POST"])
            bound = form(request.POST, request=request, target=target)
            if not bound.is_valid():
                return _show(self, request, target, words, bound)
            command, caller = build(self, request, target, bound), caller_of(request)

            def refused(refusal: PortalError) -> HttpResponse:
                again = form(request.POST, request=request, target=target)
                again.refusal = refusal
                again.is_valid()
                return _show(self, request, target, words, again)

            return Deferred(
                lambda: run(command, caller),
                done=lambda outcome: (
                    _finished(self, request, target, str(done)) if answer is None else answer(self, request, outcome)
                ),
                refused=refused,
            )

        action = cast(Any, view)  # the site's `admin_view` checks the CSRF token
        action.dialog = words
        action.acts_on_post_only = True
        action.right, action.applies = right, applies
        action.short_description, action.icon, action.variant = label, icon, variant
        action.attrs = {"data-testid": testid} if testid else {}
        action.original_function_name = build.__name__
        action.url_path = build.__name__.replace("_", "-")
        return cast(Callable[..., HttpResponse], action)

    return decorate


def _show(model_admin: Any, request: HttpRequest, target: Any, words: dict[str, Any], form: DialogForm) -> HttpResponse:
    fragment = bool(request.headers.get("HX-Request"))
    context: dict[str, Any] = {
        "dialog": words,
        "form": form,
        "object_name": model_admin.name_of(target),
        "back": model_admin.page_url(target),
    }
    if not fragment:  # opened without scripts, or by its address
        context = {
            **model_admin.admin_site.each_context(request),
            **context,
            **model_admin.words(),
            "opts": model_admin.opts,
            "title": words["title"],
            "subtitle": model_admin.name_of(target),
        }
    return TemplateResponse(request, "unfold/helpers/dialog.html" if fragment else "admin/dialog_page.html", context)


def _finished(model_admin: Any, request: HttpRequest, target: Any, sentence: str) -> HttpResponse:
    messages.success(request, sentence)
    url = model_admin.page_url(target)
    if request.headers.get("HX-Request"):
        return HttpResponse(headers={"HX-Redirect": url})
    return HttpResponseRedirect(url)
