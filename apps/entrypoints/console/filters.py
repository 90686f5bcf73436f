"""Filters of lists. Each has a name and values of its own; none passes a lookup through to the database."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from django import forms
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import RadioFilter, TextFilter
from unfold.widgets import UnfoldAdminSelectWidget

from apps.core import clock

Choices = Sequence[tuple[str, Any]]
_SPANS = {"1h": timedelta(hours=1), "24h": timedelta(hours=24), "7d": timedelta(days=7), "30d": timedelta(days=30)}


class _SelectForm(forms.Form):
    """A drop-down, for more choices than one wants to see at once."""

    def __init__(self, name: str, label: str, choices: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields[name] = forms.ChoiceField(
            label=label, required=False, choices=choices, widget=UnfoldAdminSelectWidget()
        )


def one_of(
    name: str, words: Any, choices: Choices | Callable[[], Choices], field: str | None = None, *, folded: bool = False
) -> type[RadioFilter]:
    """Rows whose field has exactly the chosen value; values outside the list select nothing."""

    class Filter(RadioFilter):  # type: ignore[misc]
        title, parameter_name = words, name
        form_class = _SelectForm if folded else RadioFilter.form_class

        def lookups(self, request: HttpRequest, model_admin: Any) -> Choices:
            return choices() if callable(choices) else choices

        def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
            value = self.value()
            if not value:
                return queryset
            known = {str(key) for key, _words in self.lookup_choices}
            return queryset.filter(**{field or name: value}) if value in known else queryset.none()

    Filter.__name__ = f"{name.title()}Filter"
    return Filter


def text_is(name: str, words: Any, field: str) -> type[TextFilter]:
    """Rows whose field equals the typed text."""

    class Filter(TextFilter):  # type: ignore[misc]
        title, parameter_name = words, name

        def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
            value = (self.value() or "").strip()
            return queryset.filter(**{field: value[:512]}) if value and "\x00" not in value else queryset

    Filter.__name__ = f"{name.title()}Filter"
    return Filter


def row_is(name: str, words: Any, field: str) -> type[TextFilter]:
    """Rows that belong to one object, by its id. Links use it; what is no id selects nothing."""

    class Filter(TextFilter):  # type: ignore[misc]
        title, parameter_name = words, name

        def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
            value = (self.value() or "").strip()
            if not value:
                return queryset
            try:
                return queryset.filter(**{field: UUID(value)})
            except ValueError:
                return queryset.none()

    Filter.__name__ = f"{name.title()}Filter"
    return Filter


class SinceFilter(RadioFilter):  # type: ignore[misc]
    """Events of the last hour, day, week or month."""

    title, parameter_name = _("time"), "time"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Choices:
        return (
            ("1h", _("Last hour")),
            ("24h", _("Last 24 hours")),
            ("7d", _("Last 7 days")),
            ("30d", _("Last 30 days")),
        )

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        span = _SPANS.get(self.value() or "")
        return queryset.filter(at__gte=clock.now() - span) if span is not None else queryset
