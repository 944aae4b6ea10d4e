"""Locust with this project's locustfile and Locust's own options: `python -m loadtests --web-host 127.0.0.1`."""

from __future__ import annotations

import sys
from pathlib import Path

from locust.main import main

if __name__ == "__main__":
    sys.argv[1:1] = ["-f", str(Path(__file__).with_name("locustfile.py"))]
    main()
