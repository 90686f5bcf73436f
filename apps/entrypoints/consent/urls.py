"""Public paths, part of the contract. No tenant prefix: the id in the path names its tenant."""

from __future__ import annotations

from django.urls import URLPattern, path

from apps.entrypoints.consent import authorize, language, signin, views

app_name = "connect"
urlpatterns: list[URLPattern] = [
    path("", signin.index, name="index"),
    path("connect/callback/<str:callback_id>", views.callback, name="callback"),
    path("connect/<str:session>", views.consent, name="consent"),
    path("connect/<str:session>/decision", views.decision, name="decision"),
    path("connect/<str:session>/done", views.done, name="done"),
    path("connect/<str:session>/problem", views.problem, name="problem"),
    path("t/<str:slug>/oauth2/authorize", authorize.authorize, name="authorize"),
    path("signin/", signin.sign_in, name="signin"),
    path("signin/out", signin.sign_out, name="signout"),
    path("signin/language", language.language, name="language"),
    path("me/", signin.me, name="me"),
]
