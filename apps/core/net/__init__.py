"""The one way out: every call to another machine's HTTP server goes through this package.

Nothing else in the project imports an HTTP client or opens a socket to the outside. Start reading at `guarded.py`.
"""
