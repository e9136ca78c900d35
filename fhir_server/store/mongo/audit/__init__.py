"""AuditEvents: in the documents of their writes, in journals, and with each other."""
