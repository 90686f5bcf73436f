"""What every page of the console has in common.

A page shows what it names and nothing else; rights come from the role table; whatever changes something becomes a
command for the broker. Django's own saving, deleting, bulk actions, history and admin log are not reachable.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

from django.contrib import messages
from django.contrib.admin import ShowFacets
from django.contrib.admin.utils import unquote
from django.core.exceptions import BadRequest, PermissionDenied
from django.db.models import Model, QuerySet
from django.forms import ModelForm
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from unfold.admin import ModelAdmin
from unfold.dataclasses import UnfoldAction

from apps.broker.contracts import Command
from apps.broker.run import run
from apps.core.errors import PortalError
from apps.entrypoints.console.changelist import KeysetChangeList
from apps.entrypoints.console.deferred import Deferred
from apps.entrypoints.console.desk import caller_of, may
from apps.entrypoints.console.forms import CommandForm, NothingForm

Fieldsets = Sequence[tuple[Any, dict[str, Any]]]


class _FormReady(Exception):
    """Leaves Django's form view at the moment it would save."""

    def __init__(self, form: CommandForm) -> None:
        super().__init__()
        self.form = form


class ConsoleAdmin(ModelAdmin):  # type: ignore[misc]
    """A list and a page per object. Without `create`, `alter` and `remove` it only shows."""

    # Actions of the role table; None: nobody.
    see: ClassVar[str] = ""
    create: ClassVar[str | None] = None
    alter: ClassVar[str | None] = None
    remove: ClassVar[str | None] = None

    add_form: ClassVar[type[CommandForm]] = NothingForm
    change_form: ClassVar[type[CommandForm]] = NothingForm
    # Three faces of the page; every field is named.
    show_fieldsets: ClassVar[Fieldsets] = ()
    add_fieldsets: ClassVar[Fieldsets] = ()
    change_fieldsets: ClassVar[Fieldsets] = ()
    # The list's only order: fields of one direction, the last one unique.
    keyset: ClassVar[tuple[str, ...]] = ()
    row_testid: ClassVar[str] = ""
    # What people call it, where the table is called otherwise.
    singular: ClassVar[Any] = ""
    plural: ClassVar[Any] = ""
    first_words: ClassVar[Any] = ""  # for an empty list
    remove_words: ClassVar[Any] = ""

    list_per_page = 25
    list_max_show_all = 0
    show_full_result_count = False
    show_facets = ShowFacets.NEVER
    sortable_by = ()
    list_editable = ()
    inlines = ()
    actions = None
    actions_on_top = False
    preserve_filters = False
    save_as = False
    view_on_site = False
    list_filter_submit = True
    enable_nav_sidebar = True

    # --- rights ------------------------------------------------------------------------------------------------

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return may(request, self.see)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return may(request, self.create)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return may(request, self.alter)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return may(request, self.remove)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        return {}

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[UnfoldAction]:
        target = self.get_object(request, unquote(str(object_id)))
        if target is None:
            return []
        return [
            action
            for action in self._get_base_actions_detail()
            if may(request, action.method.right) and action.method.applies(target)  # type: ignore[attr-defined]
        ]

    # --- what may be asked -------------------------------------------------------------------------------------

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest | None = None) -> bool:
        """Only the page's own filters: any other lookup is a question about a column nobody shows."""
        return lookup in {item.parameter_name for item in self.list_filter}

    def to_field_allowed(self, request: HttpRequest, to_field: str) -> bool:
        return False

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[KeysetChangeList]:
        return KeysetChangeList

    def prepare_rows(self, request: HttpRequest, rows: list[Any]) -> None:
        """Look up, once for the whole list, what its columns need."""

    def get_urls(self) -> list[URLPattern]:
        meta = self.opts
        view = self.admin_site.admin_view
        stem = f"{meta.app_label}_{meta.model_name}"
        urls = [path("", view(self.changelist_view), name=f"{stem}_changelist")]
        if self.create is not None:
            urls.append(path("add/", view(self.add_view), name=f"{stem}_add"))
        if self.remove is not None:
            urls.append(path("<path:object_id>/delete/", view(self.delete_view), name=f"{stem}_delete"))
        for action in self._get_base_actions_detail():
            urls.append(path(f"<path:object_id>/{action.path}/", view(action.method), name=action.action_name))
        urls.append(path("<path:object_id>/change/", view(self.change_view), name=f"{stem}_change"))
        return urls

    def key_of(self, obj: Model) -> str:
        """What names the row in addresses. Who overrides it overrides `get_object` too."""
        return str(obj.pk)

    def page_url(self, obj: Model) -> str:
        return reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_change", args=[self.key_of(obj)])

    def list_url(self) -> str:
        return reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_changelist")

    def words(self) -> dict[str, Any]:
        """How templates name the rows."""
        return {
            "singular": self.singular or self.opts.verbose_name,
            "crumb": self.plural or self.opts.verbose_name_plural,
        }

    def name_of(self, obj: Any) -> str:
        """What a row is called in titles and messages. Third-party tables put whatever they hold into `str()`."""
        return str(obj)

    def named(self, obj: Any) -> dict[str, Any]:
        """The row in a template's context; none on pages that add one."""
        return {"subtitle": self.name_of(obj), "object_name": self.name_of(obj)} if obj is not None else {}

    # --- pages -------------------------------------------------------------------------------------------------

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET"])
        words = self.words()
        context = {"title": capfirst(str(words["crumb"])), **words, **(extra_context or {})}
        response: HttpResponse = super().changelist_view(request, context)
        return response

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Fieldsets:
        if obj is None:
            return self.add_fieldsets
        return self.change_fieldsets if self.has_change_permission(request, obj) else self.show_fieldsets

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """Everything that is not in the form is shown, never edited."""
        editable = self.form_class(request, obj).base_fields
        named = _named(self.get_fieldsets(request, obj))
        return tuple(name for name in named if name not in editable)

    def form_class(self, request: HttpRequest, obj: Any) -> type[CommandForm]:
        """Which form the page has. Nobody without the right gets one with fields."""
        if obj is None:
            return self.add_form
        return self.change_form if self.has_change_permission(request, obj) else NothingForm

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any
    ) -> type[ModelForm[Any]]:
        base = self.form_class(request, obj)
        refusal = getattr(request, "portal_refusal", None)
        meta = type("Meta", (), {"model": self.model, "fields": ()})
        return type(base.__name__, (base,), {"request": request, "refusal": refusal, "Meta": meta})

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        return {}  # a link must not fill in somebody's form

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        if request.method not in ("GET", "HEAD", "POST"):
            return HttpResponseNotAllowed(["GET", "POST"])
        if "_saveasnew" in request.POST:
            raise BadRequest("Django would turn this change into an addition")
        target = None
        if object_id is not None:
            target = self.get_object(request, unquote(object_id))
            if not self.has_view_permission(request):
                raise PermissionDenied
            if target is None:
                raise Http404
            if request.method == "POST" and self.change_form is NothingForm:
                raise PermissionDenied
        words = self.words()
        context = {
            **words,
            "title": capfirst(str(words["crumb"])) if target else _("Add %s") % words["singular"],
            "show_save_and_continue": False,
            "show_save_and_add_another": False,
            "show_close": True,
            **self.named(target),
            **({"show_save": False} if self.form_class(request, target) is NothingForm else {}),
            **(extra_context or {}),
        }
        try:
            response: HttpResponse = super().changeform_view(request, object_id, form_url, dict(context))
            return response
        except _FormReady as ready:
            form = ready.form
        act = self.act_of(request, form)

        def refused(refusal: PortalError) -> HttpResponse:
            # The same form again, which now refuses what was typed, with the broker's words.
            request.portal_refusal = refusal  # type: ignore[attr-defined]
            again: HttpResponse = super(ConsoleAdmin, self).changeform_view(request, object_id, form_url, dict(context))
            return again

        return Deferred(act, done=lambda outcome: self.saved(request, target, form, outcome), refused=refused)

    def act_of(self, request: HttpRequest, form: CommandForm) -> Any:
        """What to do with a valid form, as a call without arguments. Built inside the scope, called outside."""
        command, caller = form.command(), caller_of(request)
        return lambda: run(command, caller)

    def save_form(self, request: HttpRequest, form: Any, change: bool) -> Any:
        raise _FormReady(form)

    def saved(self, request: HttpRequest, target: Any, form: CommandForm, outcome: Any) -> HttpResponse:
        """Where to go after the command: to the object's page if the outcome names it."""
        row = target if target is not None else self.get_object(request, str(getattr(outcome, "id", "")))
        messages.success(request, _("Saved."))
        return HttpResponseRedirect(self.page_url(row) if row is not None else self.list_url())

    # --- deleting ----------------------------------------------------------------------------------------------

    def removal(self, request: HttpRequest, target: Any) -> Command:
        """The command that removes the row."""
        raise NotImplementedError

    def removal_impact(self, target: Any) -> list[str]:
        """What goes with it, in sentences."""
        return []

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        if not self.has_delete_permission(request):
            raise PermissionDenied
        target = self.get_object(request, unquote(object_id))
        if target is None:
            raise Http404
        if not self.has_delete_permission(request, target):
            raise PermissionDenied
        if request.method in ("GET", "HEAD"):
            return self._confirm(request, target)
        if request.method != "POST":
            return HttpResponseNotAllowed(["GET", "POST"])
        command, caller, name = self.removal(request, target), caller_of(request), self.name_of(target)
        return Deferred(
            lambda: run(command, caller),
            done=lambda _outcome: self._removed(request, name),
            refused=lambda refusal: self._confirm(request, target, problem=refusal.public),
        )

    def _confirm(self, request: HttpRequest, target: Any, problem: str = "") -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            **self.words(),
            "opts": self.opts,
            "title": _("Delete %s") % self.words()["singular"],
            **self.named(target),
            "words": self.remove_words,
            "impact": self.removal_impact(target),
            "problem": problem,
            "back": self.page_url(target),
        }
        return TemplateResponse(request, "admin/delete_confirmation.html", context)

    def _removed(self, request: HttpRequest, name: str) -> HttpResponse:
        messages.success(request, _("%(name)s was deleted.") % {"name": name})
        return HttpResponseRedirect(self.list_url())

    # --- doors that stay shut ----------------------------------------------------------------------------------

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: Any) -> None:
        raise TypeError("the console never saves a model; build a command")

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        raise TypeError("the console never deletes a model; build a command")

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        raise TypeError("the console never deletes models; build commands")

    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        raise Http404  # the audit trail is the log

    def log_addition(self, *args: Any, **kwargs: Any) -> None:
        """Django's admin log is off: the audit trail is the log."""

    def log_change(self, *args: Any, **kwargs: Any) -> None:
        """See log_addition."""

    def log_deletion(self, *args: Any, **kwargs: Any) -> None:
        """See log_addition."""

    def log_deletions(self, *args: Any, **kwargs: Any) -> None:
        """See log_addition."""


def _named(fieldsets: Iterable[tuple[Any, dict[str, Any]]]) -> list[str]:
    found: list[str] = []
    for _title, options in fieldsets:
        for entry in options["fields"]:
            found.extend(entry if isinstance(entry, list | tuple) else [entry])
    return found
