"""The whole platform on both twins, as the conformance tests have it."""

from tests.conformance.conftest import broker, new_platform, platform, sessions, twin

__all__ = ["broker", "new_platform", "platform", "sessions", "twin"]
