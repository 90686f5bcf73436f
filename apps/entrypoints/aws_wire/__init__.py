"""The wire protocol of Amazon Bedrock AgentCore Identity, data and control plane, for unmodified AWS clients.

handler.py       the WSGI application
view.py          one request from bytes to bytes
raw_target.py    the request as it was on the wire, from a WSGI environ
router.py        method and path -> operation
codec.py         JSON of the wire <-> plain values, led by contract.json
operations.py    operation -> broker command, outcome -> JSON members
errors.py        our error codes -> AWS exceptions
contract.json    the service description (written by scripts/make_wire_contract.py)
"""
