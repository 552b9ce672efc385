"""What the scripts share: networks, request bodies, servers on one core and load on another, and what was found."""
