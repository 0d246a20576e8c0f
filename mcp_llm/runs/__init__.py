"""What a run is made of: its journal, the lease of whoever drives it, and how it is waited for, resumed and replayed."""
