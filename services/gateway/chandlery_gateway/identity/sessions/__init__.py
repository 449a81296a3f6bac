"""Sessions of browsers: a cookie for pages that come with the gateway, and what keeps pages of others from using it."""
