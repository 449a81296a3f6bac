"""The whole platform on both backends, as the conformance tests have it."""

from tests.conformance.conftest import backend, broker, new_platform, platform, sessions

__all__ = ["backend", "broker", "new_platform", "platform", "sessions"]
