"""Forms that build broker commands. They never save: there is no model field in them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import Model
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold import widgets

from apps.broker.contracts import Command
from apps.core.errors import PortalError
from apps.core.secret import Secret

_MAX_LINES = 500
# Refusals that name no member, by their reason -> our field.
_AT_BY_REASON = {"name_taken": "name", "slug_taken": "slug"}

if TYPE_CHECKING:
    _ModelForm = forms.ModelForm[Any]
else:
    _ModelForm = forms.ModelForm  # generic for the type checker only


def text(**options: Any) -> forms.CharField:
    return forms.CharField(widget=widgets.UnfoldAdminTextInputWidget(attrs={"autocomplete": "off"}), **options)


def choice(choices: Any, **options: Any) -> forms.ChoiceField:
    return forms.ChoiceField(choices=choices, widget=widgets.UnfoldAdminSelectWidget(), **options)


def row(**options: Any) -> forms.ModelChoiceField[Any]:
    """A choice among the tenant's rows. The form fills `queryset` when it is made, inside the tenant's scope."""
    return forms.ModelChoiceField(queryset=None, widget=widgets.UnfoldAdminSelectWidget(), **options)


def switch(**options: Any) -> forms.BooleanField:
    return forms.BooleanField(required=False, widget=widgets.UnfoldBooleanSwitchWidget(), **options)


class LinesField(forms.CharField):
    """One value per line; cleans to a tuple without blanks and repeats."""

    def __init__(self, *, rows: int = 4, **options: Any) -> None:
        attrs = {"rows": rows, "spellcheck": "false", "class": "portal-textarea"}
        super().__init__(widget=widgets.UnfoldAdminTextareaWidget(attrs=attrs), **options)

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(value) if isinstance(value, list | tuple) else value

    def clean(self, value: Any) -> tuple[str, ...]:
        found = dict.fromkeys(line.strip() for line in super().clean(value).splitlines() if line.strip())
        if len(found) > _MAX_LINES:
            raise ValidationError(_("At most %(count)s lines."), params={"count": _MAX_LINES})
        return tuple(found)


class SecretField(forms.CharField):
    """Write-only: what was typed never comes back to a page, not even with an error. Cleans to Secret or None."""

    def __init__(self, **options: Any) -> None:
        widget = widgets.UnfoldAdminPasswordWidget(attrs={"autocomplete": "new-password"}, render_value=False)
        super().__init__(widget=widget, strip=False, max_length=options.pop("max_length", 4096), **options)

    def bound_data(self, data: Any, initial: Any) -> Any:
        return None

    def clean(self, value: Any) -> Secret | None:
        given = super().clean(value)
        return Secret(given) if given else None


class Refusable(forms.BaseForm):
    """Shows the broker's refusal at the fields it names."""

    # The command's member -> our field, where the two are called differently.
    errors_at: ClassVar[Mapping[str, str]] = {}
    refusal: PortalError | None = None

    def show_refusal(self) -> None:
        refusal = self.refusal
        if refusal is None:
            return
        named = False
        for problem in refusal.fields:
            field = self.errors_at.get(problem.name, problem.name)
            if field in self.fields:
                self.add_error(field, problem.message)
                named = True
        if not named:
            by_reason = _AT_BY_REASON.get(refusal.reason)
            self.add_error(by_reason if by_reason in self.fields else None, refusal.public)


class CommandForm(Refusable, _ModelForm):
    """A page's form. `command()` says what to run once the form is valid."""

    request: HttpRequest

    class Meta:
        fields = ()

    def command(self) -> Command:
        raise NotImplementedError

    def _post_clean(self) -> None:
        """No model takes part: the broker checks what it is given."""

    def clean(self) -> dict[str, Any]:
        super().clean()
        self.show_refusal()
        return self.cleaned_data


class NothingForm(CommandForm):
    """For pages that only show."""

    def command(self) -> Command:
        raise TypeError("this page changes nothing")


class DialogForm(Refusable, forms.Form):
    """What a dialog asks before something happens."""

    def __init__(self, *args: Any, request: HttpRequest, target: Model, **kwargs: Any) -> None:
        self.request, self.target = request, target
        super().__init__(*args, **kwargs)

    def clean(self) -> dict[str, Any]:
        super().clean()
        self.show_refusal()
        return self.cleaned_data

    def impact(self) -> list[str]:
        """What will happen, in sentences with true numbers."""
        return []


class ReasonForm(DialogForm):
    """Why, for the audit trail."""

    why = forms.CharField(
        label=_("Reason"),
        help_text=_("Goes to the audit trail."),
        max_length=500,
        widget=widgets.UnfoldAdminTextInputWidget(attrs={"data-testid": "dialog-reason", "autocomplete": "off"}),
    )


class OptionalReasonForm(ReasonForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["why"].required = False
