"""How a call gets to a server and its outcome back."""
