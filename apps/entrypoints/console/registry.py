"""Tables without a page, each with its reason. A table that is neither here nor shown fails a test."""

NOT_SHOWN: dict[str, str] = {
    "auth.Group": "not used: rights come from roles",
    "auth.Permission": "not used: rights come from roles",
    "contenttypes.ContentType": "Django's bookkeeping",
    "sessions.Session": "its key is a credential of the person it belongs to",
    "admin.LogEntry": "switched off: the audit trail is the log",
    "axes.AccessLog": "switched off",
    "axes.AccessAttemptExpiration": "the lock-out's clock; the attempts themselves are shown",
}
