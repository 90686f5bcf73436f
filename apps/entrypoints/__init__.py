"""How requests come in: parse, call the broker once, render. Nothing is decided here."""
