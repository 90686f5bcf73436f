#!/usr/bin/env python
"""Django's command line for the portal."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Run one management command; a configuration problem is one readable message, not a traceback."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "identity_portal.settings")
    from django.core.management import execute_from_command_line

    from identity_portal.config import ConfigError
    from identity_portal.embedded.errors import EmbeddedError

    try:
        execute_from_command_line(sys.argv)
    except (ConfigError, EmbeddedError) as problem:
        sys.stderr.write(f"{problem}\n")
        sys.exit(1)


if __name__ == "__main__":
    main()
