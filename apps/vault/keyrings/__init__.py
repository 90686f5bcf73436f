"""Where root keys come from. A key ring wraps a few bytes; it never hands out its key."""
