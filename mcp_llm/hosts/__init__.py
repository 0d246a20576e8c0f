"""The programs that start us: what they bear, where they keep their servers, and how an entry gets there and out."""
