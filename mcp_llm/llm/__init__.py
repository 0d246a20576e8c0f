"""Asking once: who is asked, how often, for how much, and what came back."""
