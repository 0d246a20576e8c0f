"""What a run is made of: its journal, the lease of its driver, and how it is waited for, resumed and replayed."""
