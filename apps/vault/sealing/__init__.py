"""Envelope encryption, and nothing else: no Django, no network, no clock.

Root key (a key ring) wraps the tenant's key-encryption key, which wraps one fresh data key per secret version,
which encrypts the secret. Losing the outermost key loses everything; changing it re-wraps a few bytes per tenant.
"""
