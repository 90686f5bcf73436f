"""The REST API under `/api/v1/`: parse with a serializer, run one command, render. Nothing else happens here."""
