"""Every table has a page, or a reason not to."""

from __future__ import annotations

import pytest
from django.contrib import admin
from django.core.exceptions import ImproperlyConfigured
from unfold.admin import ModelAdmin

from apps.entrypoints.console.base import ConsoleAdmin
from apps.entrypoints.console.registry import NOT_SHOWN
from apps.tenants import registry
from tests.console import pages


def test_every_table_is_shown_or_says_why_not():
    labels = {model._meta.label for model in registry.all_models() if not model._meta.auto_created}
    labels = {label for label in labels if not label.startswith("oauth2_provider.")}  # swapped out: no such tables
    assert labels == set(pages.shown()) | set(NOT_SHOWN)
    assert set(pages.shown()) & set(NOT_SHOWN) == set()
    assert all(NOT_SHOWN.values())


def test_only_pages_of_ours_can_be_registered():
    class Plain(ModelAdmin):
        pass

    model = next(iter(admin.site._registry))
    with pytest.raises(ImproperlyConfigured):
        admin.site.register(model, Plain)
    with pytest.raises(ImproperlyConfigured):
        admin.site.register(model)
    assert all(isinstance(page, ConsoleAdmin) for page in admin.site._registry.values())


def test_the_site_is_the_one_that_unfold_and_django_see():
    from django.contrib.admin import sites

    from apps.entrypoints.console.site import PortalAdminSite

    assert isinstance(sites.site, object) and sites.site is admin.site
    assert type(sites.site._wrapped) is PortalAdminSite if hasattr(sites.site, "_wrapped") else True
    assert admin.site.name == "admin"
