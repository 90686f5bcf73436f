"""The one-round-trip functions. A changed function gets a new name (`_v2`): old processes may still be running."""

from pathlib import Path

from django.db import migrations

FUNCTIONS = (Path(__file__).parent / "hot_path_v1.sql").read_text()


class Migration(migrations.Migration):
    initial = True
    dependencies = [
        ("tenants", "0001_initial"),
        ("audit", "0001_initial"),
        ("agents", "0001_initial"),
        ("providers", "0001_initial"),
        ("vault", "0001_initial"),
        ("connections", "0002_uses_left"),
        ("authn", "0003_grant_conditions"),
        ("policy", "0002_whole_bindings"),
    ]
    operations = [
        migrations.RunSQL(
            FUNCTIONS,
            "DROP FUNCTION portal_release_oauth_v1; DROP FUNCTION portal_release_api_key_v1; "
            "DROP FUNCTION portal_mint_v1; DROP FUNCTION portal_key_may_v1; DROP FUNCTION portal_like(text)",
        )
    ]
