"""What differs between vendors, as data: `catalogue.yaml`, read and checked by `catalogue.py`."""
