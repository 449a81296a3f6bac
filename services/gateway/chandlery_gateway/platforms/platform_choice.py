"""Which platform the gateway is on, as its settings say."""

from chandlery.engine.resources import Resources
from chandlery.settings.settings import Settings
from chandlery_gateway.platforms.gateway_platform import GatewayPlatform
from chandlery_gateway.platforms.standalone_gateway import StandaloneGateway, check_standalone


def check_platform(settings: Settings) -> None:
    """Read what the settings name; raises ConfigurationFault for what is wrong with it."""
    check_standalone(settings)


def platform_of(resources: Resources) -> GatewayPlatform:
    """That of the settings, with all that it reads at the start. Raises ConfigurationFault."""
    return StandaloneGateway(resources)
