"""The Loaders, one file a runtime; each imports its heavy library only when it is used."""
