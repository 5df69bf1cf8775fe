"""One command of recserve-train a file: its flags, and what it does with them."""
