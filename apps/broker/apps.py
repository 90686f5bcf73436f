from django.apps import AppConfig


class BrokerConfig(AppConfig):
    name = "apps.broker"
    label = "broker"
    verbose_name = "Broker"

    def ready(self) -> None:
        from django.conf import settings

        from apps.core.net.process import configure

        configure(
            allowed_private=settings.ALLOWED_PRIVATE_UPSTREAMS,
            approved_hosts=settings.APPROVED_UPSTREAM_HOSTS or None,
            ca_bundle=settings.CA_BUNDLE,
        )
        # Handlers register themselves on import.
        from apps.broker.authorization_server import (  # noqa: F401
            authorize,
            clients,
            signing_keys,
            tokens,
            web_identity,
        )
        from apps.broker.consent import decide, returns, show  # noqa: F401
        from apps.broker.control_plane import (  # noqa: F401
            access_keys,
            agents,
            api_keys,
            bindings,
            explain,
            issuers,
            lifecycle,
            oauth_providers,
            people,
            tags,
            tenants,
            unbound,
            unsupported,
            vault,
        )
        from apps.broker.data_plane import api_key, complete, oauth_token, workload_token  # noqa: F401
        from apps.broker.inbound import admission, gateway_keys, runtimes  # noqa: F401
        from apps.broker.reading import access_keys as _keys  # noqa: F401
        from apps.broker.reading import connections, consent_sessions, tenant  # noqa: F401
        from apps.broker.reading import people as _people  # noqa: F401
