"""Who may reach the server, and do what there: TLS, callers, permissions."""
