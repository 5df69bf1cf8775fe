"""What happens around every call: who it is from, decoding, errors, what is written down."""
