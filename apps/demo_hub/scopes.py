"""What an application can ask for, in words a person understands."""

from __future__ import annotations

from collections.abc import Iterable

OIDC = "oidc"
GITHUB = "github"

SCOPES: dict[str, str] = {
    "openid": "Know which Demo Hub account is yours",
    "profile": "See your name",
    "email": "See your e-mail address",
    "offline_access": "Keep this access while you are away",
    "repo:read": "See your repositories and their releases",
    "repo:write": "Publish releases in your repositories",
    "status:read": "See the status of Demo Hub",
}

GITHUB_SCOPES: dict[str, str] = {
    "repo": "Read and change all your repositories",
    "public_repo": "Read and change your public repositories",
    "repo:status": "Read and set commit states",
    "user": "Read and change your profile",
    "read:user": "Read your profile",
    "user:email": "Read your e-mail addresses",
    "read:org": "See the organisations you belong to",
    "gist": "Create gists",
}

# A scope on the left makes those on the right redundant; the other provider drops them from its answer.
_COVERED_BY: dict[str, tuple[str, ...]] = {
    "repo": ("public_repo", "repo:status"),
    "user": ("read:user", "user:email"),
}
# What a token of the other flavour may do at our resource API.
_MEANS: dict[str, tuple[str, ...]] = {"repo": ("repo:read", "repo:write"), "public_repo": ("repo:read", "repo:write")}


def catalogue(flavour: str) -> dict[str, str]:
    """Every scope of one flavour with its description."""
    return GITHUB_SCOPES if flavour == GITHUB else SCOPES


def split(text: str, flavour: str) -> list[str]:
    """Split a scope parameter, keeping the order and dropping repeats. GitHub takes commas as well as spaces."""
    words = text.replace(",", " ").split() if flavour == GITHUB else text.split(" ")
    return list(dict.fromkeys(word for word in words if word))


def github_normalised(scopes: Iterable[str]) -> list[str]:
    """Drop what is unknown and what another requested scope already covers, silently, as GitHub does."""
    known = [scope for scope in scopes if scope in GITHUB_SCOPES]
    covered = {inner for scope in known for inner in _COVERED_BY.get(scope, ())}
    return [scope for scope in known if scope not in covered]


def at_the_api(scopes: Iterable[str]) -> set[str]:
    """The scopes of our resource API that these scopes amount to."""
    given = set(scopes)
    return given | {meant for scope in given for meant in _MEANS.get(scope, ())}
