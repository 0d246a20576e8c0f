"""Bytes there and back: requests over HTTP, with deadlines, caps and named causes; it knows no provider."""
