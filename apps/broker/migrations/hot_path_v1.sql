-- One round trip per token call: each function opens the tenant's scope, authorises, reads and writes the
-- audit record. Invoker's rights, so row security applies to every table. A request that may not succeed
-- returns no row and leaves no trace; the slow path then says why and records the refusal.
-- One lookup after the other, each by a whole unique key, instead of one join: a join's order hangs on statistics that
-- trail behind a growing service, and the wrong order reads a provider's every connection. Sequential scans are off
-- for the same reason: a plan cached while a table was small must not outlive that.
-- The ORM reference these must agree with is broker/data_plane; tests/hot_path compares the two.

CREATE FUNCTION portal_like(glob text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $body$
  SELECT replace(replace(replace(replace(replace(glob, '\', '\\'), '%', '\%'), '_', '\_'), '*', '%'), '?', '_')
$body$;

-- Every resource of the call needs a grant of its own.
CREATE FUNCTION portal_key_may_v1(p_tenant uuid, p_key uuid, p_permission text, p_arns text[]) RETURNS boolean
LANGUAGE sql STABLE AS $body$
  SELECT NOT EXISTS (
    SELECT 1 FROM unnest(p_arns) AS wanted(arn)
    WHERE NOT EXISTS (
      SELECT 1 FROM authn_accesskeygrant g
      WHERE g.tenant_id = p_tenant AND g.access_key_id = p_key AND NOT g.constrained
        AND p_permission LIKE portal_like(g.action) AND wanted.arn LIKE portal_like(g.resource)))
$body$;

CREATE FUNCTION portal_release_oauth_v1(
  p_tenant uuid, p_key uuid, p_token bytea, p_provider text, p_scopes text[], p_flow text, p_params bytea,
  p_arn text, p_now timestamptz, p_actor text, p_request text, p_ip inet, p_details jsonb
) RETURNS TABLE (connection_id uuid, secret_version integer, blob bytea, agent_id uuid, agent_name text, pseudonym text)
LANGUAGE plpgsql SET enable_seqscan = off AS $body$
#variable_conflict use_column
DECLARE
  w record; t record; k record; a record; who record; p record; c record; s record; b record;
  holder uuid;
  acted_for text;
  noted jsonb := p_details;
BEGIN
  PERFORM set_config('portal.tenant_id', p_tenant::text, true);
  SELECT o.agent_id, o.principal_id, o.tenant_epoch, o.agent_epoch, o.principal_epoch INTO w
  FROM authn_workloadtoken o WHERE o.tenant_id = p_tenant AND o.digest = p_token AND o.expires_at > p_now;
  IF NOT FOUND THEN RETURN; END IF;

  SELECT o.binding_mode INTO t
  FROM tenants_tenant o WHERE o.id = p_tenant AND o.status = 'active' AND o.epoch = w.tenant_epoch;
  IF NOT FOUND THEN RETURN; END IF;

  SELECT o.full_access INTO k
  FROM authn_accesskey o
  WHERE o.tenant_id = p_tenant AND o.id = p_key AND o.status = 'active'
    AND (o.expires_at IS NULL OR o.expires_at > p_now) AND (o.agent_id IS NULL OR o.agent_id = w.agent_id);
  IF NOT FOUND THEN RETURN; END IF;

  SELECT o.name::text AS name INTO a
  FROM agents_agent o
  WHERE o.tenant_id = p_tenant AND o.id = w.agent_id AND o.status = 'active' AND o.epoch = w.agent_epoch;
  IF NOT FOUND THEN RETURN; END IF;

  SELECT o.kind, o.pseudonym::text AS pseudonym INTO who
  FROM connections_principal o
  WHERE o.tenant_id = p_tenant AND o.id = w.principal_id AND o.status = 'active' AND o.epoch = w.principal_epoch;
  IF NOT FOUND THEN RETURN; END IF;
  IF p_flow <> 'm2m' AND who.kind = 'self' THEN RETURN; END IF;

  SELECT o.id, o.name, o.config_version INTO p
  FROM providers_provider o
  WHERE o.tenant_id = p_tenant AND o.kind = 'oauth2' AND o.name = p_provider AND o.status = 'active';
  IF NOT FOUND THEN RETURN; END IF;

  -- A machine's token belongs to the agent itself, whoever it acts for at the moment; so does the record, with whom
  -- the workload token named beside it.
  holder := w.principal_id;
  acted_for := who.pseudonym;
  IF p_flow = 'm2m' THEN
    SELECT o.id, o.pseudonym INTO holder, acted_for FROM connections_principal o
    WHERE o.tenant_id = p_tenant AND o.kind = 'self' AND o.issuer = '' AND o.subject = w.agent_id::text;
    IF NOT FOUND THEN RETURN; END IF;
    IF who.kind <> 'self' THEN
      noted := noted || jsonb_build_object('workload_token_of', who.pseudonym);
    END IF;
  END IF;

  SELECT o.id, o.granted_scopes INTO c
  FROM connections_connection o
  WHERE o.tenant_id = p_tenant AND o.agent_id = w.agent_id AND o.principal_id = holder AND o.provider_id = p.id
    AND o.flow = p_flow AND o.params_digest = p_params
    AND o.status = 'active' AND o.provider_config_version = p.config_version
    AND (o.access_expires_at IS NULL OR o.access_expires_at > p_now)
    AND (o.refresh_after IS NULL OR o.refresh_after > p_now)
    AND (o.expires_at IS NULL OR o.expires_at > p_now) AND o.uses_left IS NULL
    AND o.requested_scopes::text[] @> p_scopes;
  IF NOT FOUND THEN RETURN; END IF;

  SELECT o.flows, o.scope_ceiling, o.constrained INTO b
  FROM policy_binding o WHERE o.tenant_id = p_tenant AND o.agent_id = w.agent_id AND o.provider_id = p.id;
  IF NOT FOUND THEN
    IF t.binding_mode <> 'open' THEN RETURN; END IF;
  ELSIF b.constrained THEN
    RETURN;
  ELSIF cardinality(b.flows) > 0 AND NOT p_flow = ANY (b.flows::text[]) THEN
    RETURN;
  ELSIF b.scope_ceiling IS NOT NULL
        AND NOT (p_scopes <@ b.scope_ceiling::text[] AND c.granted_scopes::text[] <@ b.scope_ceiling::text[]
                 AND cardinality(c.granted_scopes) > 0) THEN
    RETURN;
  END IF;

  IF NOT k.full_access AND NOT portal_key_may_v1(p_tenant, p_key, 'bedrock-agentcore:GetResourceOauth2Token', ARRAY[
       p_arn || 'workload-identity-directory/default',
       p_arn || 'workload-identity-directory/default/workload-identity/' || a.name,
       p_arn || 'token-vault/default',
       p_arn || 'token-vault/default/oauth2credentialprovider/' || p.name]) THEN
    RETURN;
  END IF;

  SELECT o.version, o.blob INTO s
  FROM vault_sealedsecret o
  WHERE o.tenant_id = p_tenant AND o."table" = 'connections_connection' AND o.row_id = c.id
    AND o."column" = 'access_token';
  IF NOT FOUND THEN RETURN; END IF;

  INSERT INTO audit_auditrecord (tenant_id, id, action, outcome, reason, actor_kind, actor, proof, agent_id,
    agent_name, on_behalf_of, provider_name, connection_id, details, request_id, source_ip)
  VALUES (p_tenant, gen_random_uuid(), 'credential.fetch_oauth', 'allowed', '', 'access_key', p_actor, 'sigv4',
    w.agent_id, a.name, acted_for, p.name, c.id, noted, p_request, p_ip);
  RETURN QUERY SELECT c.id, s.version::integer, s.blob, w.agent_id, a.name, who.pseudonym;
END $body$;

CREATE FUNCTION portal_release_api_key_v1(
  p_tenant uuid, p_key uuid, p_token bytea, p_provider text, p_arn text, p_now timestamptz, p_actor text,
  p_request text, p_ip inet
) RETURNS TABLE (provider_id uuid, secret_version integer, blob bytea, agent_id uuid, agent_name text, pseudonym text)
LANGUAGE plpgsql SET enable_seqscan = off AS $body$
#variable_conflict use_column
DECLARE
  w record; t record; k record; a record; who record; p record; s record; b record;
BEGIN
  PERFORM set_config('portal.tenant_id', p_tenant::text, true);
  SELECT o.agent_id, o.principal_id, o.tenant_epoch, o.agent_epoch, o.principal_epoch INTO w
  FROM authn_workloadtoken o WHERE o.tenant_id = p_tenant AND o.digest = p_token AND o.expires_at > p_now;
  IF NOT FOUND THEN RETURN; END IF;

  SELECT o.binding_mode INTO t
  FROM tenants_tenant o WHERE o.id = p_tenant AND o.status = 'active' AND o.epoch = w.tenant_epoch;
  IF NOT FOUND THEN RETURN; END IF;

  SELECT o.full_access INTO k
  FROM authn_accesskey o
  WHERE o.tenant_id = p_tenant AND o.id = p_key AND o.status = 'active'
    AND (o.expires_at IS NULL OR o.expires_at > p_now) AND (o.agent_id IS NULL OR o.agent_id = w.agent_id);
  IF NOT FOUND THEN RETURN; END IF;

  SELECT o.name::text AS name INTO a
  FROM agents_agent o
  WHERE o.tenant_id = p_tenant AND o.id = w.agent_id AND o.status = 'active' AND o.epoch = w.agent_epoch;
  IF NOT FOUND THEN RETURN; END IF;

  SELECT o.kind, o.pseudonym::text AS pseudonym INTO who
  FROM connections_principal o
  WHERE o.tenant_id = p_tenant AND o.id = w.principal_id AND o.status = 'active' AND o.epoch = w.principal_epoch;
  IF NOT FOUND THEN RETURN; END IF;

  SELECT o.id, o.name INTO p
  FROM providers_provider o
  WHERE o.tenant_id = p_tenant AND o.kind = 'api_key' AND o.name = p_provider AND o.status = 'active';
  IF NOT FOUND THEN RETURN; END IF;

  SELECT o.flows, o.scope_ceiling, o.constrained INTO b
  FROM policy_binding o WHERE o.tenant_id = p_tenant AND o.agent_id = w.agent_id AND o.provider_id = p.id;
  IF NOT FOUND THEN
    IF t.binding_mode <> 'open' THEN RETURN; END IF;
  ELSIF b.constrained THEN
    RETURN;
  ELSIF cardinality(b.flows) > 0 AND NOT 'api_key' = ANY (b.flows::text[]) THEN
    RETURN;
  END IF;

  IF NOT k.full_access AND NOT portal_key_may_v1(p_tenant, p_key, 'bedrock-agentcore:GetResourceApiKey', ARRAY[
       p_arn || 'workload-identity-directory/default',
       p_arn || 'workload-identity-directory/default/workload-identity/' || a.name,
       p_arn || 'token-vault/default',
       p_arn || 'token-vault/default/apikeycredentialprovider/' || p.name]) THEN
    RETURN;
  END IF;

  SELECT o.version, o.blob INTO s
  FROM vault_sealedsecret o
  WHERE o.tenant_id = p_tenant AND o."table" = 'providers_provider' AND o.row_id = p.id AND o."column" = 'api_key';
  IF NOT FOUND THEN RETURN; END IF;

  INSERT INTO audit_auditrecord (tenant_id, id, action, outcome, reason, actor_kind, actor, proof, agent_id,
    agent_name, on_behalf_of, provider_name, connection_id, details, request_id, source_ip)
  VALUES (p_tenant, gen_random_uuid(), 'credential.fetch_api_key', 'allowed', '', 'access_key', p_actor, 'sigv4',
    w.agent_id, a.name, who.pseudonym, p.name, NULL, '{}'::jsonb, p_request, p_ip);
  RETURN QUERY SELECT p.id, s.version::integer, s.blob, w.agent_id, a.name, who.pseudonym;
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
LANGUAGE plpgsql SET enable_seqscan = off AS $body$
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
        WHERE g.tenant_id = a.tenant_id AND g.access_key_id = k.id AND NOT g.constrained
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
