"""JSON Schema from people who may mean harm: is it usable, and does a value fit, in bounded time."""
