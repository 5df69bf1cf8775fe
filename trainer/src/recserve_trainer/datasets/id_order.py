"""The order in which users and items get their rows."""


def natural(identifier: str) -> tuple[int, int, str]:
    """Orders "9" before "10", and numbers before words."""
    if identifier.isascii() and identifier.isdigit():
        return 0, int(identifier), identifier
    return 1, 0, identifier
