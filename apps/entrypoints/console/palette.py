"""The command palette: pages, agents, providers and keys by name. Nothing is cached, so nothing outlives a switch.

Unfold keeps its results for five minutes under the person and the words typed, whatever tenant they came from.
"""

from __future__ import annotations

from django.contrib import admin
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from unfold.dataclasses import SearchResult

from apps.agents.models import Agent
from apps.authn.models import AccessKey
from apps.entrypoints.console.desk import desk, may
from apps.entrypoints.console.navigation import sidebar
from apps.providers.models import Provider

_EACH = 8


def search(request: HttpRequest) -> HttpResponse:
    words = request.GET.get("s", "").strip()[:100].replace("\x00", "")
    if not words:
        return HttpResponse()
    found = [*_pages(request, words), *_rows(request, words)]
    template = (
        "unfold/helpers/command_results.html" if "extended" in request.GET else "unfold/helpers/search_results.html"
    )
    paginator = Paginator(found, max(len(found), 1))
    context = {"page_obj": paginator, "results": paginator.page(1), "page_counter": 0, "execution_time": 0.0}
    return TemplateResponse(request, template, {**context, "site": admin.site.name}, headers={"HX-Trigger": "search"})


def _pages(request: HttpRequest, words: str) -> list[SearchResult]:
    return [
        SearchResult(
            title=str(item["title"]), description=str(group.get("title", "")), link=item["link"], icon=item["icon"]
        )
        for group in sidebar(request)
        for item in group["items"]
        if words.casefold() in str(item["title"]).casefold()
    ]


def _rows(request: HttpRequest, words: str) -> list[SearchResult]:
    here = desk(request)
    if here is None or here.tenant is None:
        return []
    found: list[SearchResult] = []
    if may(request, "agent.list"):
        for agent in Agent.objects.filter(name__icontains=words).order_by("name")[:_EACH]:
            found.append(_result(agent.name, _("Agent"), "admin:agents_agent_change", agent.pk, "smart_toy"))
    if may(request, "oauth_provider.list"):
        for row in Provider.objects.filter(name__icontains=words).order_by("name")[:_EACH]:
            found.append(_result(row.name, _("Provider"), "admin:providers_provider_change", row.pk, "hub"))
    if may(request, "vault.read"):
        for key in AccessKey.objects.filter(key_id__iexact=words)[:1]:
            found.append(_result(key.key_id, _("Access key"), "admin:authn_accesskey_change", key.pk, "key"))
    return found


def _result(title: str, what: str, view: str, pk: object, icon: str) -> SearchResult:
    return SearchResult(title=title, description=what, link=reverse(view, args=[pk]), icon=icon)
