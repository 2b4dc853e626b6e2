"""The parts of the modules about streams: TLS, PROXY protocol, resolvers."""
