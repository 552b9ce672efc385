"""Simulations of what the product decides by, each with its seed; they write their tables and plots into `docs/`."""
