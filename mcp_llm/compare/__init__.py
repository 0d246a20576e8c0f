"""Asking several models the same and saying which answers are better, as far as the evidence goes."""
