from django.apps import AppConfig


class BrokerConfig(AppConfig):
    name = "apps.broker"
    label = "broker"
    verbose_name = "Broker"

    def ready(self) -> None:
        # Handlers register themselves on import.
        from apps.broker.consent import decide, returns, show  # noqa: F401
        from apps.broker.control_plane import agents, api_keys, oauth_providers, tags, unsupported, vault  # noqa: F401
        from apps.broker.data_plane import api_key, complete, oauth_token, workload_token  # noqa: F401
