-- Who a bearer token of the portal stands for, in one round trip. It opens the scope of the tenant the token names,
-- with the invoker's rights, so row security applies to every table; what has ended in any way finds nothing.
-- A changed function gets a new name (`_v2`): old processes may still be running.

CREATE FUNCTION portal_bearer_v1(p_account text, p_checksum text, p_now timestamptz)
RETURNS TABLE (
  tenant_id uuid, client_row uuid, client_id text, user_id uuid, scopes text[], expires_at timestamptz, agent_id uuid
)
LANGUAGE plpgsql SET enable_seqscan = off AS $body$
#variable_conflict use_column
DECLARE
  t record; k record; c record;
BEGIN
  SELECT o.id INTO t FROM tenants_tenant o WHERE o.account_id = p_account AND o.status = 'active';
  IF NOT FOUND THEN RETURN; END IF;
  PERFORM set_config('portal.tenant_id', t.id::text, true);

  SELECT o.application_id, o.user_id, o.scope, o.expires INTO k
  FROM authn_oauthaccesstoken o WHERE o.tenant_id = t.id AND o.token_checksum = p_checksum AND o.expires > p_now;
  IF NOT FOUND THEN RETURN; END IF;

  SELECT o.id, o.client_id::text AS client_id, o.allowed_scopes, o.agent_id INTO c
  FROM authn_oauthclient o WHERE o.tenant_id = t.id AND o.id = k.application_id AND o.status = 'active';
  IF NOT FOUND THEN RETURN; END IF;

  IF c.agent_id IS NOT NULL THEN
    PERFORM 1 FROM agents_agent o WHERE o.tenant_id = t.id AND o.id = c.agent_id AND o.status = 'active';
    IF NOT FOUND THEN RETURN; END IF;
  END IF;

  -- A person's token is worth what the person is worth now.
  IF k.user_id IS NOT NULL THEN
    PERFORM 1 FROM tenants_user u
    WHERE u.id = k.user_id AND u.is_active
      AND EXISTS (SELECT 1 FROM tenants_membership m WHERE m.tenant_id = t.id AND m.user_id = u.id);
    IF NOT FOUND THEN RETURN; END IF;
  END IF;

  RETURN QUERY SELECT
    t.id, c.id, c.client_id, k.user_id,
    ARRAY(SELECT s FROM unnest(string_to_array(k.scope, ' ')) AS s WHERE s = ANY (c.allowed_scopes)),
    k.expires, c.agent_id;
END
$body$;
