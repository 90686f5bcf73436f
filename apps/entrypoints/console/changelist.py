"""Lists that cost the same on every page: no counting, no offset, one fixed order."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

from django.contrib.admin.options import IncorrectLookupParameters
from django.core.exceptions import ValidationError
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest
from unfold.views import ChangeList

AFTER = "after"


class KeysetChangeList(ChangeList):
    """Pages by the last row seen. The order is the admin's `keyset`: fields of one direction, the last one unique."""

    result_list: list[Any]

    def __init__(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        self.after = request.GET.get(AFTER, "")
        super().__init__(request, *args, **kwargs)
        self.title = str(self.opts.verbose_name_plural)

    def get_filters_params(self, params: Any = None) -> dict[str, Any]:
        found: dict[str, Any] = super().get_filters_params(params)
        found.pop(AFTER, None)
        return found

    def get_ordering(self, request: HttpRequest, queryset: QuerySet[Any]) -> list[str]:
        return list(self.model_admin.keyset)

    def get_ordering_field_columns(self) -> dict[int, str]:
        return {}

    def get_results(self, request: HttpRequest) -> None:
        rows = self.queryset
        if self.after:
            rows = rows.filter(_beyond(self.model, self.model_admin.keyset, self.after))
        size = self.list_per_page
        page = list(rows[: size + 1])
        self.next_after = _cursor(page[size - 1], self.model_admin.keyset) if len(page) > size else ""
        self.result_list = page[:size]
        self.model_admin.prepare_rows(request, self.result_list)
        # Equal numbers: nothing was counted, so no page may speak of totals.
        self.result_count = self.full_result_count = len(self.result_list)
        self.show_full_result_count = self.show_admin_actions = False
        self.can_show_all, self.multi_page = False, False
        self.paginator = None

    def url_for_result(self, result: Model) -> str:
        return str(self.model_admin.page_url(result))

    def next_url(self) -> str:
        return str(self.get_query_string({AFTER: self.next_after}, [AFTER]))

    def first_url(self) -> str:
        return str(self.get_query_string(remove=[AFTER]))


def _cursor(row: Model, keyset: tuple[str, ...]) -> str:
    fields: list[Any] = [row._meta.get_field(name.lstrip("-")) for name in keyset]
    values = [field.value_to_string(row) for field in fields]
    return base64.urlsafe_b64encode(json.dumps(values).encode()).decode().rstrip("=")


def _beyond(model: type[Model], keyset: tuple[str, ...], cursor: str) -> Q:
    """Everything after the cursor's row. Raises IncorrectLookupParameters for a cursor we did not write."""
    try:
        texts = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if not isinstance(texts, list) or len(texts) != len(keyset) or not all(isinstance(t, str) for t in texts):
            raise ValueError
        fields: list[Any] = [model._meta.get_field(name.lstrip("-")) for name in keyset]
        values = [field.to_python(text) for field, text in zip(fields, texts, strict=True)]
    except (ValueError, ValidationError, binascii.Error, RecursionError) as bad:
        raise IncorrectLookupParameters from bad
    found, same = Q(), Q()
    for name, value in zip(keyset, values, strict=True):
        field = name.lstrip("-")
        found |= same & Q(**{f"{field}__{'lt' if name.startswith('-') else 'gt'}": value})
        same &= Q(**{field: value})
    return found
