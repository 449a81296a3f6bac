"""The walk-through as a programme for people: two servers, a terminal session, a clean end."""
