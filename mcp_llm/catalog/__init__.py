"""Who speaks it: providers and models as data, and the readers of that data; no network."""
