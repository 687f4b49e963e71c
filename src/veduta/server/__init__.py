"""The HTTP API and the page: a thin edge over the rooms below."""
