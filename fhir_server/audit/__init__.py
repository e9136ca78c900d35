"""Who did what, when, and why it was allowed: AuditEvents."""
