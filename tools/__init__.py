"""What works on this project and is no part of it: run from the checkout, `python -m tools....`."""
