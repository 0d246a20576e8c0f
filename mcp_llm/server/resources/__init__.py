"""What a host can read by URI: runs, usage, models, agents and artifacts, each in a room (module) of its own."""
