"""The operators' console: one admin site."""

from __future__ import annotations

from unfold.sites import UnfoldAdminSite


class PortalAdminSite(UnfoldAdminSite):
    site_title = "Identity Portal"
    site_header = "Identity Portal"
    index_title = "Overview"
