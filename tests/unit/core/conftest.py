"""Lets these tests run alone, without a project around them. In the full suite the project's settings are in force."""

import os

import django
from cryptography.fernet import Fernet
from django.conf import settings

if not settings.configured and not os.environ.get("DJANGO_SETTINGS_MODULE"):
    settings.configure(SECRET_KEY="unit tests only", OPERATOR_FERNET_KEYS=[Fernet.generate_key().decode()])
    django.setup()
