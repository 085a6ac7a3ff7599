"""The REST contract, thin over the same functions as the screens."""
