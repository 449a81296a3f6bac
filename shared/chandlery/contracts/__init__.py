"""Messages and their routing as data: commands, events, the envelope around them, the topology they travel on."""
