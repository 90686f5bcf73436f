-- One round trip per token call: each function opens the tenant's scope, authorises, reads and writes the
-- audit record. Invoker's rights, so row security applies to every table. A request that may not succeed
-- returns no row and leaves no trace; the slow path then says why and records the refusal.
-- The ORM reference these must agree with is broker/data_plane; tests/hot_path compares the two.

CREATE FUNCTION portal_like(glob text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $body$
  SELECT replace(replace(replace(replace(replace(glob, '\', '\\'), '%', '\%'), '_', '\_'), '*', '%'), '?', '_')
$body$;

CREATE FUNCTION portal_release_oauth_v1(
  p_tenant uuid, p_key uuid, p_token bytea, p_provider text, p_scopes text[], p_flow text, p_params bytea,
  p_arn text, p_now timestamptz, p_actor text, p_request text, p_ip inet, p_details jsonb
) RETURNS TABLE (connection_id uuid, secret_version integer, blob bytea, agent_id uuid, agent_name text, pseudonym text)
LANGUAGE plpgsql AS $body$
#variable_conflict use_column
BEGIN
  PERFORM set_config('portal.tenant_id', p_tenant::text, true);
  RETURN QUERY
  WITH r AS (
    SELECT c.id AS connection_id, s.version AS secret_version, s.blob AS blob,
           a.id AS agent_id, a.name::text AS agent_name, pr.pseudonym::text AS pseudonym, p.name AS provider_name
    FROM authn_workloadtoken w
    JOIN tenants_tenant t ON t.id = w.tenant_id
    JOIN authn_accesskey k ON k.tenant_id = w.tenant_id AND k.id = p_key
    JOIN agents_agent a ON a.tenant_id = w.tenant_id AND a.id = w.agent_id
    JOIN connections_principal pr ON pr.tenant_id = w.tenant_id AND pr.id = w.principal_id
    JOIN providers_provider p ON p.tenant_id = w.tenant_id AND p.kind = 'oauth2' AND p.name = p_provider
    JOIN connections_connection c ON c.tenant_id = w.tenant_id AND c.agent_id = w.agent_id
      AND c.principal_id = CASE WHEN p_flow = 'm2m'
            THEN (SELECT o.id FROM connections_principal o WHERE o.tenant_id = w.tenant_id AND o.kind = 'self'
                    AND o.issuer = '' AND o.subject = w.agent_id::text)
            ELSE w.principal_id END
      AND c.provider_id = p.id AND c.flow = p_flow AND c.params_digest = p_params
    JOIN vault_sealedsecret s ON s.tenant_id = w.tenant_id AND s."table" = 'connections_connection'
      AND s.row_id = c.id AND s."column" = 'access_token'
    LEFT JOIN policy_binding b ON b.tenant_id = w.tenant_id AND b.agent_id = w.agent_id AND b.provider_id = p.id
    WHERE w.tenant_id = p_tenant AND w.digest = p_token
      AND t.status = 'active' AND a.status = 'active' AND pr.status = 'active' AND p.status = 'active'
      AND w.tenant_epoch = t.epoch AND w.agent_epoch = a.epoch AND w.principal_epoch = pr.epoch
      AND w.expires_at > p_now
      AND k.status = 'active' AND (k.expires_at IS NULL OR k.expires_at > p_now)
      AND (k.agent_id IS NULL OR k.agent_id = w.agent_id)
      AND (p_flow = 'm2m' OR pr.kind <> 'self')
      AND c.status = 'active' AND c.provider_config_version = p.config_version
      AND (c.access_expires_at IS NULL OR c.access_expires_at > p_now)
      AND (c.refresh_after IS NULL OR c.refresh_after > p_now)
      AND (c.expires_at IS NULL OR c.expires_at > p_now)
      AND c.requested_scopes::text[] @> p_scopes
      AND (b.id IS NOT NULL OR t.binding_mode = 'open')
      AND (b.id IS NULL OR cardinality(b.flows) = 0 OR p_flow = ANY (b.flows::text[]))
      AND (b.scope_ceiling IS NULL
           OR (p_scopes <@ b.scope_ceiling::text[] AND c.granted_scopes::text[] <@ b.scope_ceiling::text[]))
      AND (k.full_access OR NOT EXISTS (
            SELECT 1 FROM unnest(ARRAY[
                p_arn || 'workload-identity-directory/default',
                p_arn || 'workload-identity-directory/default/workload-identity/' || a.name,
                p_arn || 'token-vault/default',
                p_arn || 'token-vault/default/oauth2credentialprovider/' || p.name]) AS wanted(arn)
            WHERE NOT EXISTS (
              SELECT 1 FROM authn_accesskeygrant g
              WHERE g.tenant_id = w.tenant_id AND g.access_key_id = k.id
                AND 'bedrock-agentcore:GetResourceOauth2Token' LIKE portal_like(g.action)
                AND wanted.arn LIKE portal_like(g.resource))))
  ), noted AS (
    INSERT INTO audit_auditrecord (tenant_id, id, action, outcome, reason, actor_kind, actor, proof, agent_id,
      agent_name, on_behalf_of, provider_name, connection_id, details, request_id, source_ip)
    SELECT p_tenant, gen_random_uuid(), 'credential.fetch_oauth', 'allowed', '', 'access_key', p_actor, 'sigv4',
      r.agent_id, r.agent_name, r.pseudonym, r.provider_name, r.connection_id, p_details, p_request, p_ip
    FROM r
  )
  SELECT r.connection_id, r.secret_version, r.blob, r.agent_id, r.agent_name, r.pseudonym FROM r;
END $body$;

CREATE FUNCTION portal_release_api_key_v1(
  p_tenant uuid, p_key uuid, p_token bytea, p_provider text, p_arn text, p_now timestamptz, p_actor text,
  p_request text, p_ip inet
) RETURNS TABLE (provider_id uuid, secret_version integer, blob bytea, agent_id uuid, agent_name text, pseudonym text)
LANGUAGE plpgsql AS $body$
#variable_conflict use_column
BEGIN
  PERFORM set_config('portal.tenant_id', p_tenant::text, true);
  RETURN QUERY
  WITH r AS (
    SELECT p.id AS provider_id, s.version AS secret_version, s.blob AS blob, a.id AS agent_id,
           a.name::text AS agent_name, pr.pseudonym::text AS pseudonym, p.name AS provider_name
    FROM authn_workloadtoken w
    JOIN tenants_tenant t ON t.id = w.tenant_id
    JOIN authn_accesskey k ON k.tenant_id = w.tenant_id AND k.id = p_key
    JOIN agents_agent a ON a.tenant_id = w.tenant_id AND a.id = w.agent_id
    JOIN connections_principal pr ON pr.tenant_id = w.tenant_id AND pr.id = w.principal_id
    JOIN providers_provider p ON p.tenant_id = w.tenant_id AND p.kind = 'api_key' AND p.name = p_provider
    JOIN vault_sealedsecret s ON s.tenant_id = w.tenant_id AND s."table" = 'providers_provider'
      AND s.row_id = p.id AND s."column" = 'api_key'
    LEFT JOIN policy_binding b ON b.tenant_id = w.tenant_id AND b.agent_id = w.agent_id AND b.provider_id = p.id
    WHERE w.tenant_id = p_tenant AND w.digest = p_token
      AND t.status = 'active' AND a.status = 'active' AND pr.status = 'active' AND p.status = 'active'
      AND w.tenant_epoch = t.epoch AND w.agent_epoch = a.epoch AND w.principal_epoch = pr.epoch
      AND w.expires_at > p_now
      AND k.status = 'active' AND (k.expires_at IS NULL OR k.expires_at > p_now)
      AND (k.agent_id IS NULL OR k.agent_id = w.agent_id)
      AND (b.id IS NOT NULL OR t.binding_mode = 'open')
      AND (b.id IS NULL OR cardinality(b.flows) = 0 OR 'api_key' = ANY (b.flows::text[]))
      AND (k.full_access OR NOT EXISTS (
            SELECT 1 FROM unnest(ARRAY[
                p_arn || 'workload-identity-directory/default',
                p_arn || 'workload-identity-directory/default/workload-identity/' || a.name,
                p_arn || 'token-vault/default',
                p_arn || 'token-vault/default/apikeycredentialprovider/' || p.name]) AS wanted(arn)
            WHERE NOT EXISTS (
              SELECT 1 FROM authn_accesskeygrant g
              WHERE g.tenant_id = w.tenant_id AND g.access_key_id = k.id
                AND 'bedrock-agentcore:GetResourceApiKey' LIKE portal_like(g.action)
                AND wanted.arn LIKE portal_like(g.resource))))
  ), noted AS (
    INSERT INTO audit_auditrecord (tenant_id, id, action, outcome, reason, actor_kind, actor, proof, agent_id,
      agent_name, on_behalf_of, provider_name, connection_id, details, request_id, source_ip)
    SELECT p_tenant, gen_random_uuid(), 'credential.fetch_api_key', 'allowed', '', 'access_key', p_actor, 'sigv4',
      r.agent_id, r.agent_name, r.pseudonym, r.provider_name, NULL, '{}'::jsonb, p_request, p_ip
    FROM r
  )
  SELECT r.provider_id, r.secret_version, r.blob, r.agent_id, r.agent_name, r.pseudonym FROM r;
END $body$;

-- p_kind is 'jwt', 'uid' or 'self'; for 'self' the subject is the agent's own id and p_subject, p_pseudonym are
-- ignored unless the principal exists already (a first call goes the slow way). For 'jwt' the signature was
-- verified with p_jwks_uri's keys; here the issuer must be trusted by the tenant *now*, for this agent, with that
-- key address, for one of the token's audiences and, where clients are listed, for its client.
CREATE FUNCTION portal_mint_v1(
  p_tenant uuid, p_key uuid, p_agent text, p_kind text, p_issuer text, p_subject text, p_pseudonym text,
  p_jwks_uri text, p_audiences text[], p_clients text[], p_token bytea, p_permission text, p_action text,
  p_arn text, p_now timestamptz, p_actor text, p_request text, p_ip inet
) RETURNS TABLE (token_id uuid)
LANGUAGE plpgsql AS $body$
#variable_conflict use_column
DECLARE
  acting record;
  who record;
  fresh uuid;
BEGIN
  PERFORM set_config('portal.tenant_id', p_tenant::text, true);
  SELECT t.epoch AS tenant_epoch, t.workload_token_life_s AS life, a.id AS agent_id, a.name::text AS agent_name,
         a.epoch AS agent_epoch
  INTO acting
  FROM agents_agent a
  JOIN tenants_tenant t ON t.id = a.tenant_id
  JOIN authn_accesskey k ON k.tenant_id = a.tenant_id AND k.id = p_key
  WHERE a.tenant_id = p_tenant AND a.name = p_agent AND a.status = 'active' AND t.status = 'active'
    AND k.status = 'active' AND (k.expires_at IS NULL OR k.expires_at > p_now)
    AND (k.agent_id IS NULL OR k.agent_id = a.id)
    AND (p_kind <> 'jwt' OR EXISTS (
      SELECT 1 FROM authn_trustedissuer i
      WHERE i.tenant_id = a.tenant_id AND i.issuer = p_issuer AND i.status = 'active' AND i.jwks_uri = p_jwks_uri
        AND (i.agent_id = a.id OR (i.agent_id IS NULL AND NOT EXISTS (
              SELECT 1 FROM authn_trustedissuer n WHERE n.tenant_id = a.tenant_id AND n.agent_id = a.id)))
        AND (cardinality(i.audiences) > 0 OR cardinality(i.clients) > 0)
        AND (cardinality(i.audiences) = 0 OR i.audiences::text[] && p_audiences)
        AND cardinality(i.client_claims) = 0
        AND (cardinality(i.clients) = 0 OR i.clients::text[] && p_clients)
        AND cardinality(i.algorithms) = 0))
    AND (k.full_access OR NOT EXISTS (
      SELECT 1 FROM unnest(ARRAY[
          p_arn || 'workload-identity-directory/default',
          p_arn || 'workload-identity-directory/default/workload-identity/' || a.name]) AS wanted(arn)
      WHERE NOT EXISTS (
        SELECT 1 FROM authn_accesskeygrant g
        WHERE g.tenant_id = a.tenant_id AND g.access_key_id = k.id
          AND p_permission LIKE portal_like(g.action) AND wanted.arn LIKE portal_like(g.resource))));
  IF NOT FOUND THEN
    RETURN;
  END IF;

  SELECT o.id AS id, o.epoch AS epoch, o.status AS status, o.pseudonym::text AS pseudonym INTO who
  FROM connections_principal o
  WHERE o.tenant_id = p_tenant AND o.kind = p_kind AND o.issuer = p_issuer
    AND o.subject = CASE WHEN p_kind = 'self' THEN acting.agent_id::text ELSE p_subject END;
  IF NOT FOUND OR who.status <> 'active' THEN
    RETURN;
  END IF;

  fresh := gen_random_uuid();
  INSERT INTO authn_workloadtoken (tenant_id, id, digest, agent_id, principal_id, proof, tenant_epoch, agent_epoch,
    principal_epoch, issued_at, expires_at)
  VALUES (p_tenant, fresh, p_token, acting.agent_id, who.id, p_kind, acting.tenant_epoch, acting.agent_epoch,
    who.epoch, p_now, p_now + make_interval(secs => acting.life));
  INSERT INTO audit_auditrecord (tenant_id, id, action, outcome, reason, actor_kind, actor, proof, agent_id,
    agent_name, on_behalf_of, provider_name, connection_id, details, request_id, source_ip)
  VALUES (p_tenant, gen_random_uuid(), p_action, 'allowed', '', 'access_key', p_actor, 'sigv4', acting.agent_id,
    acting.agent_name, who.pseudonym, '', NULL, '{}'::jsonb, p_request, p_ip);
  RETURN QUERY SELECT fresh;
END $body$;
