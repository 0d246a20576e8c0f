"""Asking many: items in, results out as they come, none asked twice that has been answered."""
