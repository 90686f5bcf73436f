"""What the toolkit asks about clients, codes and tokens, answered for one tenant and one request.

Make one inside the tenant's scope. Every query of the toolkit then goes through the tenant's manager and row security:
a client, code or token of another tenant is not found, as if it never was.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from oauth2_provider.oauth2_validators import OAuth2Validator

from apps.authn.models import OAuthAccessToken, OAuthAssertion, OAuthClient, OAuthGrant, OAuthRefreshToken
from apps.authn.oauth import assertions, client_auth
from apps.authn.oauth.client_auth import ClientProof
from apps.authn.oauth.issuer import Issuer
from apps.core.errors import Unauthenticated
from apps.core.secret import Secret
from apps.tenants.models import Membership
from apps.tenants.scope import current_tenant_id


class PortalValidator(OAuth2Validator):  # type: ignore[misc]
    """`why` says what was wrong, for the audit record; `client` is set once it has proven itself; `ended_family` when a
    code or refresh token came a second time and everything that came from it was ended."""

    def __init__(
        self, *, issuer: Issuer, proof: ClientProof | None, now: datetime, stored_code: Callable[[Secret], str]
    ) -> None:
        super().__init__()
        self.issuer, self.proof, self.now, self._stored_code = issuer, proof, now, stored_code
        self.why = ""
        self.client: OAuthClient | None = None
        self.ended_family: UUID | None = None

    # --- clients -----------------------------------------------------------------------------------------------

    def client_authentication_required(self, request: Any, *args: Any, **kwargs: Any) -> bool:
        if self.proof is None or self.proof.method != "none":
            return True
        client = self._load_application(self.proof.client_id, request)
        return client is None or client.client_type != OAuthClient.CLIENT_PUBLIC

    def authenticate_client(self, request: Any, *args: Any, **kwargs: Any) -> bool:
        proof = self.proof
        if proof is None:
            return self._no("client_proof_missing")
        client = self._load_application(proof.client_id, request)
        problem = self._problem_with(client, proof)
        if problem or client is None:
            request.client = None
            return self._no(problem)
        request.client, request.client_id, self.client = client, client.client_id, client
        return True

    def authenticate_client_id(self, client_id: str, request: Any, *args: Any, **kwargs: Any) -> bool:
        """Public clients only: they have nothing to prove themselves with."""
        proof = self.proof
        if proof is None or proof.method != "none" or client_id != proof.client_id:
            return self._no("client_proof_missing")
        client = self._load_application(client_id, request)
        if client is None or client.client_type != OAuthClient.CLIENT_PUBLIC:
            return self._no("client_unknown" if client is None else "client_proof_missing")
        self.client = client
        return True

    def _load_application(self, client_id: str, request: Any) -> OAuthClient | None:
        client = self.client
        if client is None or client.client_id != client_id:
            client = OAuthClient.objects.select_related("agent").filter(client_id=client_id).first()
        if client is None:
            self.why = "client_unknown"
        elif not client.is_usable(request):
            client, self.why = None, "client_disabled"
        elif client.agent is not None and client.agent.status != "active":
            client, self.why = None, "agent_suspended"
        request.client = client
        return client

    def _problem_with(self, client: OAuthClient | None, proof: ClientProof) -> str:
        """Why the proof does not hold, empty when it does. An unknown client costs the same work."""
        secret_holds = proof.secret is not None and client_auth.holds(
            proof.secret, client.client_secret if client is not None else ""
        )
        if client is None:
            return self.why
        if client.proof != proof.method or client.client_type == OAuthClient.CLIENT_PUBLIC:
            return "client_proof_of_another_kind"
        if proof.method == "client_secret":
            return "" if secret_holds else "client_secret_wrong"
        if proof.method == "private_key_jwt" and proof.assertion is not None:
            return self._problem_with_assertion(client, proof.assertion)
        return "client_proof_missing"

    def _problem_with_assertion(self, client: OAuthClient, assertion: Secret) -> str:
        try:
            proven = assertions.prove(
                assertion,
                client_id=client.client_id,
                keys=client.public_jwks,
                audiences=(self.issuer.identifier, self.issuer.endpoint("token")),
                now=self.now,
            )
        except Unauthenticated as bad:
            return bad.reason
        try:
            with transaction.atomic():
                OAuthAssertion.objects.create(application=client, digest=proven.digest, expires_at=proven.expires_at)
        except IntegrityError:
            return "assertion_replayed"
        return ""

    # --- what may be asked for ---------------------------------------------------------------------------------

    def validate_scopes(self, client_id: str, scopes: list[str], client: Any, request: Any, *a: Any, **k: Any) -> bool:
        if not scopes:
            return self._no("scope_missing")
        return set(scopes) <= set(client.allowed_scopes) or self._no("scope_not_allowed")

    def validate_redirect_uri(self, client_id: str, redirect_uri: str, request: Any, *a: Any, **k: Any) -> bool:
        """The exact text (RFC 9700 section 4.1): no parsing, so nothing for two parsers to disagree about."""
        return redirect_uri in request.client.redirect_uris.split() or self._no("redirect_uri_not_registered")

    def get_default_redirect_uri(self, client_id: str, request: Any, *args: Any, **kwargs: Any) -> str | None:
        """None: it is always said, in both requests, so that the two can be compared."""
        return None

    def validate_response_type(self, client_id: str, response_type: str, client: Any, *a: Any, **k: Any) -> bool:
        allowed = response_type == "code" and client.allows_grant_type(OAuthClient.GRANT_AUTHORIZATION_CODE)
        return bool(allowed) or self._no("response_type_not_allowed")

    # --- codes -------------------------------------------------------------------------------------------------

    def _create_authorization_code(self, request: Any, code: dict[str, str], expires: Any = None) -> Any:
        stored = {**code, "code": self._stored_code(Secret(code["code"]))}
        return super()._create_authorization_code(request, stored, expires)

    def validate_code(self, client_id: str, code: str, client: Any, request: Any, *args: Any, **kwargs: Any) -> bool:
        """Locks the code: of two requests with it, one waits for what the other did."""
        grant = OAuthGrant.objects.select_for_update().filter(code=code, application=client).first()
        if grant is None:
            return self._no("code_unknown")
        if grant.used_at is not None:
            self._end_family(grant.id)
            return self._no("code_reused")
        if not self._still_here(grant.user_id):
            return self._no("person_gone")
        request.portal_family = grant.id
        return bool(super().validate_code(client_id, code, client, request)) or self._no("code_expired")

    def invalidate_authorization_code(self, client_id: str, code: str, request: Any, *args: Any, **kwargs: Any) -> None:
        OAuthGrant.objects.filter(code=code, application=request.client).update(used_at=self.now)

    # --- tokens ------------------------------------------------------------------------------------------------

    def validate_refresh_token(self, refresh_token: str, client: Any, request: Any, *args: Any, **kwargs: Any) -> bool:
        """Locks the token first, for the toolkit checks and rotates it in two steps."""
        row = (
            OAuthRefreshToken.objects.select_for_update()
            .filter(token_checksum=_checksum(refresh_token), application=client)
            .first()
        )
        if row is None:
            return self._no("refresh_token_unknown")
        if row.revoked is not None:
            self._end_family(row.token_family)
            return self._no("refresh_token_reused")
        if not self._still_here(row.user_id):
            return self._no("person_gone")
        request.portal_family = row.token_family
        return bool(super().validate_refresh_token(refresh_token, client, request)) or self._no("refresh_token_expired")

    def _create_refresh_token(
        self, request: Any, refresh_token_code: str, access_token: Any, previous_refresh_token: Any
    ) -> Any:
        """The family is the code it began with: a code that comes twice finds everything that came from it."""
        token = OAuthRefreshToken(
            user=request.user,
            application=request.client,
            access_token=access_token,
            token_family=request.portal_family,
            resource=getattr(request, "resource", []),
        )
        self._set_token_value(token, refresh_token_code)
        token.save()
        return token

    def _end_family(self, family: UUID | None) -> None:
        OAuthRefreshToken.revoke_family(family)
        self.ended_family = family

    def _still_here(self, user_id: UUID) -> bool:
        return Membership.objects.filter(tenant_id=current_tenant_id(), user_id=user_id, user__is_active=True).exists()

    def _no(self, why: str) -> bool:
        self.why = why
        return False


def _checksum(token: str) -> str:
    """As the toolkit stores it."""
    import hashlib

    return hashlib.sha256(token.encode()).hexdigest()


def end_all_tokens(client: OAuthClient) -> int:
    """End every code and token of a client, at once. Returns how many access tokens there were."""
    OAuthGrant.objects.filter(application=client).delete()
    OAuthRefreshToken.objects.filter(application=client).delete()
    return int(OAuthAccessToken.objects.filter(application=client).delete()[0])
