"""Chromium without a window, for what only a browser shows: pages as they look, scripts as they run."""
