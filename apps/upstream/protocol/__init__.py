"""The OAuth 2.0 and OpenID Connect client side as pure functions, one module per part of an RFC.

Nothing here imports Django, an HTTP library or a task queue, and nothing here asks for the time or for chance:
both come in as arguments. An import contract checks the first half.
"""
