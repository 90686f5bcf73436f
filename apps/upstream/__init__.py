"""Us as an OAuth client of other people's servers. No tables, no Django.

`protocol/` is pure: it builds requests and reads answers. `catalogue/` holds what differs between vendors, as data.
`client.py` joins the two with the guarded transport.
"""
