"""Asking in a loop: a model that calls tools until it has an answer, within limits, journalled step by step."""
