"""The patches other than apply: JSON patch, merge patch, strategic merge patch. Pure."""
