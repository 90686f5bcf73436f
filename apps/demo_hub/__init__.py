"""Demo Hub: a small third-party service with its own sign-in, consent, tokens and API.

It plays the part of the outside world for `make demo` and for the tests: a genuine OAuth 2.0 and OpenID
provider that runs as its own process and is reached over HTTP only. It shares no code with the portal, and
the portal shares none with it. `python -m apps.demo_hub --port 0` starts it; `apps.demo_hub.driver` drives it.
"""
