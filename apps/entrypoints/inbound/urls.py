"""Paths of the inbound entrypoint."""

from django.urls import path, re_path

from apps.entrypoints.inbound import views

urlpatterns = [
    path("api/v1/authorize", views.authorize, name="inbound_authorize"),
    # Envoy appends the path of the original request to the prefix it is given; it plays no part.
    re_path(r"^forward-auth(?:/.*)?$", views.forward_auth, name="inbound_forward_auth"),
    re_path(
        r"^\.well-known/oauth-protected-resource/runtimes/(?P<arn>arn:[^?#]{1,1100})/invocations$",
        views.protected_resource,
        name="inbound_protected_resource",
    ),
    # The place where AWS has the same document.
    re_path(
        r"^runtimes/(?P<arn>arn:[^?#]{1,1100})/invocations/\.well-known/oauth-protected-resource$",
        views.protected_resource,
        name="inbound_protected_resource_below",
    ),
]
