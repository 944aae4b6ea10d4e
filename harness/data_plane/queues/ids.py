"""Message ids."""

from __future__ import annotations

import os


def message_ids(count: int) -> list[str]:
    """Return random UUIDs (version 4) as text; one call to the system for all of them."""
    digits = os.urandom(16 * count).hex()
    return [
        f"{digits[i : i + 8]}-{digits[i + 8 : i + 12]}-4{digits[i + 13 : i + 16]}-"
        f"a{digits[i + 17 : i + 20]}-{digits[i + 20 : i + 32]}"
        for i in range(0, 32 * count, 32)
    ]
