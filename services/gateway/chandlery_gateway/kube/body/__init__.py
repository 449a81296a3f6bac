"""From bytes to an object: JSON, YAML, strict decoding. Pure."""
