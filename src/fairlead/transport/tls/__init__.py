"""The certificate that a port shows and those that it asks for: read, judged, and read again when the files change."""
