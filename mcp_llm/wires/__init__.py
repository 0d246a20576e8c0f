"""How it is spelled: pure modules that turn values into a vendor's bytes and back; no I/O, no clock, no environment."""
