"""The server over Streamable HTTP: who may come in, how much, and how it ends; the protocol itself is the SDK's."""
