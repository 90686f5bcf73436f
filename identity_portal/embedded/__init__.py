"""A real PostgreSQL and a real Redis inside the state folder, for machines that have neither."""
