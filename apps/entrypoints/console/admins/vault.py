"""The vault from outside: which keys and sealed values exist. Nothing here opens or shows one."""

from __future__ import annotations

from django.contrib import admin
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from apps.entrypoints.console import cells
from apps.entrypoints.console.base import ConsoleAdmin
from apps.entrypoints.console.filters import one_of, row_is
from apps.vault.models import KeyRingCanary, SealedSecret, TenantKey


@admin.register(TenantKey)
class TenantKeyAdmin(ConsoleAdmin):
    singular, plural = _("vault key"), _("vault keys")
    see = "vault.read"
    keyset = ("-version", "-id")
    row_testid = "key-row"
    first_words = _("The first key is made with the first secret.")
    list_display = ("version", "stage", "ring", "made")
    list_filter = (one_of("state", _("state"), TenantKey.State.choices),)
    show_fieldsets = ((None, {"fields": ("version", "stage", "ring", "under_it", "made")}),)

    @display(description=_("state"))
    def stage(self, obj: TenantKey) -> SafeString:
        return cells.pill(obj.state, obj.get_state_display())

    @display(description=_("secrets sealed under it"))
    def under_it(self, obj: TenantKey) -> int:
        return int(SealedSecret.objects.filter(key_version=obj.version).count())

    @display(description=_("made"))
    def made(self, obj: TenantKey) -> SafeString:
        return cells.when(obj.created_at)


@admin.register(SealedSecret)
class SealedSecretAdmin(ConsoleAdmin):
    see = "vault.read"
    keyset = ("-updated_at", "-id")
    first_words = _("Client secrets, API keys and tokens rest here, sealed.")
    list_display = ("purpose", "table", "row_id", "version", "key_version", "changed")
    list_filter = (row_is("row", _("row id"), "row_id"),)
    show_fieldsets = (
        (None, {"fields": ("purpose", "table", "row_id", "column", "version", "key_version", "changed")}),
    )

    @display(description=_("sealed"))
    def changed(self, obj: SealedSecret) -> SafeString:
        return cells.when(obj.updated_at)


@admin.register(KeyRingCanary)
class KeyRingCanaryAdmin(ConsoleAdmin):
    see = "tenant.create"  # platform staff
    keyset = ("ring", "id")
    list_display = ("ring", "made")
    list_filter = ()
    show_fieldsets = ((None, {"fields": ("ring", "made")}),)

    def name_of(self, obj: KeyRingCanary) -> str:
        return obj.ring

    @display(description=_("made"))
    def made(self, obj: KeyRingCanary) -> SafeString:
        return cells.when(obj.created_at)
