"""The portal as an authorization server: who its clients are, and what django-oauth-toolkit is told to do."""
