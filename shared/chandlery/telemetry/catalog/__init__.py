"""All metrics that Chandlery has, a module for each part of it; `docs/metrics.md` is written from them."""
