"""What lasts: runs and their events, threads, the ledger and budgets, in one SQLite file."""
