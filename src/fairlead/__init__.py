"""Fairlead takes a model from training to production and keeps it honest there."""
