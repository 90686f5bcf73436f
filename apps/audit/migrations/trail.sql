-- The trail: partitioned by month, keyed by tenant, append-only.
CREATE TABLE audit_auditrecord (
  tenant_id uuid NOT NULL,
  id uuid NOT NULL,
  at timestamptz NOT NULL DEFAULT clock_timestamp(),
  -- The inserting transaction: the sealer reads only below the snapshot horizon, so it misses none.
  xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
  action varchar(80) NOT NULL,
  outcome varchar(8) NOT NULL,
  reason varchar(80) NOT NULL,
  actor_kind varchar(20) NOT NULL,
  actor varchar(255) NOT NULL,
  proof varchar(40) NOT NULL,
  agent_id uuid,
  agent_name varchar(255) NOT NULL,
  on_behalf_of varchar(80) NOT NULL,
  provider_name varchar(128) NOT NULL,
  connection_id uuid,
  details jsonb NOT NULL,
  request_id varchar(64) NOT NULL,
  source_ip inet,
  digest bytea,
  -- No foreign key to the tenant: the trail outlives it.
  PRIMARY KEY (tenant_id, at, id)
) PARTITION BY RANGE (at);

CREATE INDEX audit_auditrecord_request ON audit_auditrecord (tenant_id, request_id);
CREATE TABLE audit_auditrecord_default PARTITION OF audit_auditrecord DEFAULT;

-- The content hash: SHA-256 over a JSON array of the fields as text, in this order. Version 1.
CREATE FUNCTION portal_audit_digest() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
  NEW.digest := sha256(convert_to(jsonb_build_array(
    'audit/v1', NEW.tenant_id::text, NEW.id::text, (extract(epoch FROM NEW.at) * 1000000)::bigint::text,
    NEW.action, NEW.outcome, NEW.reason, NEW.actor_kind, NEW.actor, NEW.proof, NEW.agent_id::text, NEW.agent_name,
    NEW.on_behalf_of, NEW.provider_name, NEW.connection_id::text, NEW.details::text, NEW.request_id,
    host(NEW.source_ip))::text, 'UTF8'));
  RETURN NEW;
END $body$;
CREATE TRIGGER audit_digest BEFORE INSERT ON audit_auditrecord
  FOR EACH ROW EXECUTE FUNCTION portal_audit_digest();

CREATE FUNCTION portal_audit_append_only() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
  RAISE EXCEPTION 'the audit trail is append-only' USING ERRCODE = 'insufficient_privilege';
END $body$;
CREATE TRIGGER audit_no_change BEFORE UPDATE OR DELETE ON audit_auditrecord
  FOR EACH ROW EXECUTE FUNCTION portal_audit_append_only();
CREATE TRIGGER audit_no_truncate BEFORE TRUNCATE ON audit_auditrecord
  FOR EACH STATEMENT EXECUTE FUNCTION portal_audit_append_only();
CREATE TRIGGER audit_no_truncate BEFORE TRUNCATE ON audit_auditrecord_default
  FOR EACH STATEMENT EXECUTE FUNCTION portal_audit_append_only();

-- Monthly partitions, made ahead by the owner after every migration. Idempotent.
CREATE FUNCTION portal_audit_partitions(first date, months integer) RETURNS integer LANGUAGE plpgsql AS $body$
DECLARE
  month date;
  part text;
  made integer := 0;
BEGIN
  FOR step IN 0 .. months - 1 LOOP
    month := (date_trunc('month', first) + make_interval(months => step))::date;
    part := 'audit_auditrecord_' || to_char(month, 'YYYYMM');
    IF to_regclass(part) IS NULL THEN
      EXECUTE format('CREATE TABLE %I PARTITION OF audit_auditrecord FOR VALUES FROM (%L) TO (%L)',
                     part, month, (month + interval '1 month')::date);
      EXECUTE format('CREATE TRIGGER audit_no_truncate BEFORE TRUNCATE ON %I '
                     'FOR EACH STATEMENT EXECUTE FUNCTION portal_audit_append_only()', part);
      made := made + 1;
    END IF;
  END LOOP;
  RETURN made;
END $body$;
SELECT portal_audit_partitions(current_date, 24);

CREATE TRIGGER operator_no_change BEFORE UPDATE OR DELETE ON audit_operatorrecord
  FOR EACH ROW EXECUTE FUNCTION portal_audit_append_only();
CREATE TRIGGER operator_no_truncate BEFORE TRUNCATE ON audit_operatorrecord
  FOR EACH STATEMENT EXECUTE FUNCTION portal_audit_append_only();
