"""Operations at a service broker: mitigation, deferral, context. Pure."""
