"""Which platform the gateway is on, as its settings say."""

from chandlery.engine.resources import Resources
from chandlery.settings.settings import Settings
from chandlery_gateway.platforms.gateway_platform import GatewayPlatform


def check_platform(settings: Settings) -> None:
    """Read what the settings name; raises ConfigurationFault for what is wrong with it."""
    if settings.platform == "kubernetes":
        from chandlery_gateway.platforms.cluster_gateway import check_cluster  # noqa: PLC0415 - one of the two is loaded

        return check_cluster(settings)
    from chandlery_gateway.platforms.standalone_gateway import check_standalone  # noqa: PLC0415

    return check_standalone(settings)


def platform_of(resources: Resources) -> GatewayPlatform:
    """That of the settings, with all that it reads at the start. Raises ConfigurationFault."""
    if resources.settings.platform == "kubernetes":
        from chandlery_gateway.platforms.cluster_gateway import ClusterGateway  # noqa: PLC0415

        return ClusterGateway(resources)
    from chandlery_gateway.platforms.standalone_gateway import StandaloneGateway  # noqa: PLC0415

    return StandaloneGateway(resources)
