"""What is said: the values every other part passes around. Imports nothing of ours but `errors`."""
